"""A tensor in the terminal: its figures and a histogram."""

from rich.console import Group, RenderableType
from rich.text import Text

from tissu_cli.render.braille import bar_rows
from tissu_core.events import TensorSummarized
from tissu_core.sanitize import sanitize_line

_ROWS = 4


def tensor_view(tensor: TensorSummarized) -> RenderableType:
    """Name, shape, statistics, and how the values are spread."""
    title = Text(sanitize_line(tensor.name), style="bold")
    shape = " x ".join(map(str, tensor.shape)) or "scalar"
    title.append(f"  {shape}  {tensor.dtype}", style="dim")
    figures = Text(
        f"mean {tensor.mean:+.4g}  std {tensor.std:.4g}  min {tensor.min:+.4g}  "
        f"max {tensor.max:+.4g}  zeros {tensor.zeros:,}  norm {tensor.norm:.4g}"
    )
    chart = Text("\n".join("  " + row for row in bar_rows(tensor.histogram, _ROWS)), style="cyan")
    width = max(0, len(tensor.histogram) - 7)
    ends = f"{tensor.min:+.3g}".ljust(width) + f"{tensor.max:+.3g}".rjust(7)
    return Group(title, figures, chart, Text("  " + ends, style="dim"), Text())
