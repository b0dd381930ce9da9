"""Tensors in the terminal: their figures, and how the values are spread."""

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from tissu_cli.render.braille import bar_rows, bars
from tissu_core.events.measures import TensorSummarized
from tissu_core.sanitize import sanitize_line

_VIEWS = 8
"""More tensors than these are lines of a table."""
_SPARK_WIDTH = 12


def tensors_view(tensors: Sequence[TensorSummarized], rows: int) -> RenderableType:
    """A few tensors with a histogram each, many as one line each."""
    if len(tensors) > _VIEWS:
        return _tensors_table(tensors)
    return Group(*(_tensor_view(tensor, rows) for tensor in tensors))


def _tensor_view(tensor: TensorSummarized, rows: int) -> RenderableType:
    title = Text(sanitize_line(tensor.name), style="bold")
    title.append(f"  {_shape(tensor)}  {tensor.dtype}", style="dim")
    figures = Text(
        f"mean {tensor.mean:+.4g}  std {tensor.std:.4g}  min {tensor.min:+.4g}  "
        f"max {tensor.max:+.4g}  zeros {tensor.zeros:,}  norm {tensor.norm:.4g}"
    )
    figures.append(_no_numbers(tensor), style="red")
    chart = Text("\n".join("  " + row for row in bar_rows(tensor.histogram, rows)), style="cyan")
    width = max(0, len(tensor.histogram) - 7)
    ends = f"{tensor.min:+.3g}".ljust(width) + f"{tensor.max:+.3g}".rjust(7)
    return Group(title, figures, chart, Text("  " + ends, style="dim"), Text())


def _tensors_table(tensors: Sequence[TensorSummarized]) -> Table:
    """One line each; a column that would say nothing is left out, for names to have the room."""
    dtypes = {tensor.dtype for tensor in tensors}
    has_zeros = any(tensor.zeros for tensor in tensors)
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 1, 0, 0))
    table.add_column("tensor", overflow="fold", min_width=24)
    for name in ("shape", *(["dtype"] if len(dtypes) > 1 else [])):
        table.add_column(name, no_wrap=True)
    for name in ("mean", "std", "min", "max", *(["zeros"] if has_zeros else [])):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("values", no_wrap=True)
    if len(dtypes) == 1:
        table.caption = f"{len(tensors)} tensors of {dtypes.pop()}"
        table.caption_justify = "left"
    for tensor in tensors:
        name = tensor.name.removeprefix("model.").removesuffix(".weight")
        share = tensor.zeros / max(1, sum(tensor.histogram))
        table.add_row(
            Text(sanitize_line(name)),
            _shape(tensor),
            *([tensor.dtype] if table.caption is None else []),
            *(_short(x) for x in (tensor.mean, tensor.std, tensor.min, tensor.max)),
            *([f"{share:.1%}" if share else ""] if has_zeros else []),
            Text(bars(tensor.histogram, _SPARK_WIDTH), "cyan").append(_no_numbers(tensor), "red"),
        )
    return table


def _short(number: float) -> str:
    """At most six characters for what weights usually are."""
    if 0.001 <= abs(number) < 10:
        return f"{number:.3f}"
    return f"{number:.3g}" if abs(number) >= 10 else f"{number:.1g}"


def _shape(tensor: TensorSummarized) -> str:
    return " x ".join(map(str, tensor.shape)) or "scalar"


def _no_numbers(tensor: TensorSummarized) -> str:
    """How many values are not finite, if any."""
    counts = (("NaN", tensor.nans), ("inf", tensor.infs))
    return "".join(f"  {name} {count:,}" for name, count in counts if count)
