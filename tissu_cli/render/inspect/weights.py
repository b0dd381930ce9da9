"""Tensors in the terminal: their figures, how values are spread, and what stands out."""

from collections.abc import Callable, Sequence

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
_SPARK_WIDTH = 12
_Cell = Callable[[TensorSummarized], str]


def tensors_view(tensors: Sequence[TensorSummarized], rows: int, width: int) -> RenderableType:
    """A few tensors with a histogram each, many as one line each."""
    if len(tensors) > _VIEWS:
        return Group(_tensors_table(tensors), *odd_of_many(tensors))
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


def _tensors_table(tensors: Sequence[TensorSummarized]) -> Table:
    """One line each; a column that would say nothing is left out, for names to have the room."""
    columns = _columns(tensors)
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 1, 0, 0))
    table.add_column("tensor", overflow="fold", min_width=24)
    for name, _ in columns:
        is_word = name in ("shape", "dtype")
        table.add_column(name, no_wrap=True, justify="left" if is_word else "right")
    table.add_column("values", no_wrap=True)
    dtypes = {tensor.dtype for tensor in tensors}
    if len(dtypes) == 1:
        table.caption = f"{len(tensors)} tensors of {dtypes.pop()}"
        table.caption_justify = "left"
    for tensor in tensors:
        name = tensor.name.removeprefix("model.").removesuffix(".weight")
        table.add_row(
            Text(sanitize_line(name)),
            *(cell(tensor) for _, cell in columns),
            Text(bars(tensor.histogram, _SPARK_WIDTH), "cyan").append(_no_numbers(tensor), "red"),
        )
    return table


def _columns(tensors: Sequence[TensorSummarized]) -> list[tuple[str, _Cell]]:
    """Moments alone get the ends of the values; what was asked for beside them takes that room."""
    columns: list[tuple[str, _Cell]] = [("shape", lambda tensor: shape_of(tensor.shape))]
    more: list[tuple[str, _Cell]] = []
    if len({tensor.dtype for tensor in tensors}) > 1:
        columns.append(("dtype", lambda tensor: tensor.dtype))
    if any(tensor.spectrum for tensor in tensors):
        more.append(("eff. rank", _effective_rank))
    if any(tensor.comparison or tensor.not_compared for tensor in tensors):
        more += [("change", _change), ("cosine", _cosine)]
    if any(tensor.rounding for tensor in tensors):
        more.append(("dB", lambda tensor: decibels(tensor.rounding)))
    if more:
        return [*columns, *more]
    columns += [("mean", lambda tensor: _short(tensor.mean))]
    columns += [("std", lambda tensor: _short(tensor.std))]
    columns += [("min", lambda tensor: _short(tensor.min))]
    columns += [("max", lambda tensor: _short(tensor.max))]
    if any(tensor.zeros for tensor in tensors):
        columns.append(("zeros", _zeros))
    return columns


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
