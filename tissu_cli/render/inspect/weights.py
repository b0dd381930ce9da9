"""Tensors in the terminal: their figures, how values are spread, and what stands out."""

import re
from collections.abc import Callable, Sequence
from typing import TypeAlias

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from tissu_cli.render.braille import bar_rows, bars
from tissu_cli.render.inspect.odd_values import decibels, labelled, odd_of_many, odd_rows, shape_of
from tissu_cli.render.inspect.spectrum import spectrum_view
from tissu_cli.render.numbers import percent
from tissu_core.events.tensors import TensorSummarized
from tissu_core.sanitize import sanitize_line

_VIEWS = 8
"""More tensors than these are lines of a table."""
_SPARK_WIDTH, _MOST_SPARK, _LEAST_OF_NAMES = 12, 40, 24
_LEAST_OF_LAYER = 3
"""Tensors that a layer has on average where it is named once, above them."""
_SPARED = ("norm", "zeros", "mean", "min", "max", "std")
"""What is left out first where there is too little room."""
_Column: TypeAlias = tuple[str, Callable[[TensorSummarized], str]]


def tensors_view(tensors: Sequence[TensorSummarized], rows: int, width: int) -> RenderableType:
    """A few tensors with a histogram each, many as one line each."""
    if len(tensors) > _VIEWS:
        return Group(_tensors_table(tensors, width), *odd_of_many(tensors))
    return Group(*(Group(tensor_view(tensor, rows, width), Text()) for tensor in tensors))


def tensor_view(tensor: TensorSummarized, rows: int, width: int) -> RenderableType:
    """All that is known of one tensor, as wide as ``width``."""
    title = Text(sanitize_line(tensor.name), style="bold")
    title.append(f"  {shape_of(tensor.shape)}  {tensor.dtype}", style="dim")
    figures = Text(
        f"mean {tensor.mean:+.4g}  std {tensor.std:.4g}  min {tensor.min:+.4g}  "
        f"max {tensor.max:+.4g}  zeros {tensor.zeros:,}  norm {tensor.norm:.4g}"
    )
    figures.append(_no_numbers(tensor), style="red")
    parts: list[RenderableType] = [title, figures, *_histogram(tensor, rows)]
    if tensor.spectrum is not None:
        parts.append(spectrum_view(tensor.spectrum, rows, width))
    rows_below = [*odd_rows(tensor)]
    return Group(*parts, *([labelled(rows_below)] if rows_below else []))


def _histogram(tensor: TensorSummarized, rows: int) -> list[Text]:
    if not tensor.histogram:
        return []
    chart = Text("\n".join("  " + row for row in bar_rows(tensor.histogram, rows)), style="cyan")
    width = max(0, len(tensor.histogram) - 7)
    ends = f"{tensor.min:+.3g}".ljust(width) + f"{tensor.max:+.3g}".rjust(7)
    return [chart, Text("  " + ends, style="dim")]


def _tensors_table(tensors: Sequence[TensorSummarized], width: int) -> Table:
    """One line each, below its layer: the figures and the width of histogram that have room."""
    has_layers = len(tensors) >= _LEAST_OF_LAYER * len({_layer(tensor) for tensor in tensors})
    names = [_name(tensor, has_layers=has_layers) for tensor in tensors]
    longest = max(map(len, names))
    room = width - longest - 1
    columns = _columns(tensors, room - _SPARK_WIDTH)
    left = room - sum(_width(column, tensors) for column in columns)
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 1, 0, 0))
    table.add_column("tensor", overflow="fold", min_width=min(longest, _LEAST_OF_NAMES))
    for name, _ in columns:
        is_word = name in ("shape", "dtype")
        table.add_column(name, no_wrap=True, justify="left" if is_word else "right")
    table.add_column("values", no_wrap=True)
    dtypes = {tensor.dtype for tensor in tensors}
    if len(dtypes) == 1:
        table.caption = f"{len(tensors)} tensors of {dtypes.pop()}"
        table.caption_justify = "left"
    last, spark = "", min(_MOST_SPARK, max(_SPARK_WIDTH, left))
    for name, tensor in zip(names, tensors, strict=True):
        if has_layers and _layer(tensor) not in ("", last):
            last = _layer(tensor)
            table.add_row(Text(last, "bold"))
        table.add_row(
            Text(name),
            *(cell(tensor) for _, cell in columns),
            Text(bars(tensor.histogram, spark), "cyan").append(_no_numbers(tensor), "red"),
        )
    return table


def _short_name(tensor: TensorSummarized) -> str:
    return sanitize_line(tensor.name).removeprefix("model.").removesuffix(".weight")


def _layer(tensor: TensorSummarized) -> str:
    """layers.3 of what is in a layer, and nothing of what is outside of them."""
    found = re.match(r".*?\.\d+(?=\.)", _short_name(tensor))
    return found[0] if found else ""


def _name(tensor: TensorSummarized, *, has_layers: bool) -> str:
    name, layer = _short_name(tensor), _layer(tensor)
    return f"  {name.removeprefix(f'{layer}.')}" if has_layers and layer else name


def _columns(tensors: Sequence[TensorSummarized], room: int) -> list[_Column]:
    """What was asked for, and of the moments those for which there is room."""
    columns: list[_Column] = [("shape", lambda tensor: shape_of(tensor.shape))]
    if len({tensor.dtype for tensor in tensors}) > 1:
        columns.append(("dtype", lambda tensor: tensor.dtype))
    columns += [("mean", lambda tensor: _short(tensor.mean))]
    columns += [("std", lambda tensor: _short(tensor.std))]
    columns += [("min", lambda tensor: _short(tensor.min))]
    columns += [("max", lambda tensor: _short(tensor.max))]
    if any(tensor.zeros for tensor in tensors):
        columns.append(("zeros", _zeros))
    columns += [("norm", lambda tensor: f"{tensor.norm:.4g}")]
    if any(tensor.spectrum for tensor in tensors):
        columns.append(("eff. rank", _effective_rank))
    if any(tensor.comparison or tensor.not_compared for tensor in tensors):
        columns += [("change", _change), ("cosine", _cosine)]
    if any(tensor.rounding for tensor in tensors):
        columns.append(("dB", lambda tensor: decibels(tensor.rounding)))
    for spared in _SPARED:
        if sum(_width(column, tensors) for column in columns) > room:
            columns = [column for column in columns if column[0] != spared]
    return columns


def _width(column: _Column, tensors: Sequence[TensorSummarized]) -> int:
    """Letters that it takes, with the space behind it."""
    name, cell = column
    return max(len(name), *(len(cell(tensor)) for tensor in tensors)) + 1


def _zeros(tensor: TensorSummarized) -> str:
    share = tensor.zeros / max(1, sum(tensor.histogram))
    return f"{share:.1%}" if share else ""


def _effective_rank(tensor: TensorSummarized) -> str:
    return "" if tensor.spectrum is None else f"{tensor.spectrum.effective_rank:.1f}"


def _change(tensor: TensorSummarized) -> str:
    return "" if tensor.comparison is None else percent(tensor.comparison.change)


def _cosine(tensor: TensorSummarized) -> str:
    return "" if tensor.comparison is None else f"{tensor.comparison.cosine:.5f}"


def _short(number: float) -> str:
    """At most six characters for what weights usually are."""
    if 0.001 <= abs(number) < 10:
        return f"{number:.3f}"
    return f"{number:.3g}" if abs(number) >= 10 else f"{number:.1g}"


def _no_numbers(tensor: TensorSummarized) -> str:
    """How many values are not finite, if any."""
    counts = (("NaN", tensor.nans), ("inf", tensor.infs))
    return "".join(f"  {name} {count:,}" for name, count in counts if count)
