"""Singular values drawn on a logarithmic scale, and what they say."""

import math

from rich.console import Group, RenderableType
from rich.text import Text

from tissu_cli.render.braille import line_chart
from tissu_cli.render.inspect.odd_values import labelled
from tissu_cli.render.numbers import count as count_of
from tissu_cli.render.numbers import percent
from tissu_core.events.tensors import SpectrumMeasured

_AXIS = 9
_WIDEST, _LEAST_ROWS = 96, 4
_LOWEST = 1e-8
"""Of the largest; below it is what rounding leaves of zero."""
_BASE = 0x2800


def spectrum_view(spectrum: SpectrumMeasured, rows: int, width: int) -> RenderableType:
    """Figures, and a curve of the values from the largest to the smallest.

    The flat line is the largest that a random matrix of this shape and mean square has.
    """
    count = len(spectrum.values)
    known = spectrum.condition
    condition = "singular" if known is None else f"condition {count_of(known)}"
    tops = ", ".join(f"{percent(share)} in {k}" for k, share in spectrum.energy)
    above = f"{spectrum.num_above_noise:,} above a random matrix's {spectrum.noise_edge:.3g}"
    figures = labelled(
        [
            (
                "rank",
                f"effective {spectrum.effective_rank:.1f} of {count:,}, stable "
                f"{spectrum.stable_rank:.1f}, numerical {spectrum.rank:,}; {condition}",
                "",
            ),
            ("energy", f"{tops}; {above}", ""),
        ]
    )
    if count < 2 or not spectrum.values[0]:
        return figures
    return Group(figures, _curve(spectrum, max(rows, _LEAST_ROWS), width))


def _curve(spectrum: SpectrumMeasured, rows: int, width: int) -> Text:
    width = max(2 * _AXIS, min(width, _WIDEST)) - _AXIS
    largest, last = spectrum.values[0], len(spectrum.values) - 1
    top = math.log10(max(largest, spectrum.noise_edge))
    smallest = max(spectrum.values[-1], largest * _LOWEST)
    low = math.log10(min(smallest, spectrum.noise_edge))
    levels = [math.log10(max(value, largest * _LOWEST)) for value in spectrum.values]
    size = {"width": width, "height": rows}
    ranges = {"x_range": (0.0, float(last)), "y_range": (low, max(top, low + 0.1))}
    curve = line_chart(range(len(levels)), levels, **size, **ranges)  # type: ignore[arg-type]
    edge = math.log10(spectrum.noise_edge)
    flat = line_chart([0, last], [edge, edge], **size, **ranges)  # type: ignore[arg-type]
    labels = {0: f"{10**top:.3g}", rows - 1: f"{10**low:.3g}"}
    body = Text(no_wrap=True)
    for row, cells in enumerate(zip(curve, flat, strict=True)):
        body.append(f"{labels.get(row, ''):>{_AXIS - 1}} ", "dim")
        for one, other in zip(*cells, strict=True):
            both = chr(_BASE + ((ord(one) - _BASE) | (ord(other) - _BASE)))
            body.append(both, "magenta" if ord(one) != _BASE else "dim")
        body.append("\n")
    end = f"{last + 1:,}"
    body.append(" " * _AXIS + "1" + end.rjust(width - 1), "dim")
    return body
