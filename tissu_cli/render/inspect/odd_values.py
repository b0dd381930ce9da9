"""What stands out in a tensor, in lines: dead and outlying rows, far values, rounding, changes."""

import math
from collections.abc import Iterable, Iterator, Sequence

from rich.table import Table
from rich.text import Text

from tissu_cli.render.numbers import percent
from tissu_core.events.tensors import (
    LinesExamined,
    Place,
    RoundingMeasured,
    TensorCompared,
    TensorSummarized,
)
from tissu_core.sanitize import sanitize_line

_MOST_TENSORS, _NAMED = 12, 3
_LABEL = 10
Row = tuple[str, str, str]


def shape_of(shape: Sequence[int]) -> str:
    """As people say it: 576 x 1536."""
    return " x ".join(map(str, shape)) or "scalar"


def labelled(rows: Iterable[Row]) -> Table:
    """A dim word before each text, which has its own lines beside it where it is long."""
    table = Table.grid(padding=(0, 1, 0, 0))
    table.add_column(min_width=_LABEL, no_wrap=True)
    table.add_column(overflow="fold")
    for name, text, style in rows:
        table.add_row(Text(name, "dim"), Text(text, style))
    return table


def odd_rows(tensor: TensorSummarized) -> Iterator[Row]:
    """Label, text and style of each thing to know of a tensor beside its figures."""
    if tensor.not_finite:
        places = ", ".join(map(_at, tensor.not_finite))
        more = tensor.nans + tensor.infs > len(tensor.not_finite)
        yield "no numbers", "at " + places + (", ..." if more else ""), "red"
    for lines in tensor.lines:
        if text := _examined(lines):
            yield f"{lines.axis}s", text, "yellow"
    if tensor.num_extreme and tensor.largest is not None:
        place, value = tensor.largest
        text = f"{tensor.num_extreme:,} beyond 6 std of the mean; the largest {value:+.4g}"
        yield "values", f"{text} at {_at(place)}", ""
    if tensor.rounding is not None:
        yield "rounding", _rounding(tensor.dtype, tensor.rounding), ""
    if tensor.comparison is not None:
        yield "against", comparison_text(tensor.comparison), ""
    elif tensor.not_compared:
        yield "against", tensor.not_compared, "yellow"


def odd_of_many(tensors: Sequence[TensorSummarized]) -> Iterator[Text]:
    """A line for each tensor among many whose rows or columns stand out, or that has no match."""
    found = [
        (tensor, text, size)
        for tensor in tensors
        for text, size in (*map(_counted, tensor.lines), (tensor.not_compared, math.inf))
        if text
    ]
    found.sort(key=lambda each: -each[2])
    if found:
        yield Text()
    for tensor, text, _ in found[:_MOST_TENSORS]:
        name = tensor.name.removeprefix("model.").removesuffix(".weight")
        yield Text(sanitize_line(name)).append(f"  {text}", "yellow")
    if len(found) > _MOST_TENSORS:
        yield Text(f"and {len(found) - _MOST_TENSORS} more; name one to see them", "dim")


def comparison_text(compared: TensorCompared) -> str:
    """How far a tensor moved."""
    text = (
        f"changed by {percent(compared.change)}, cosine {compared.cosine:.6f}, "
        f"most at {_at(compared.place)}: {compared.largest:+.4g}"
    )
    if compared.change == 0:
        text = "the same"
    return text + (f"; {compared.left_out:,} no numbers" if compared.left_out else "")


def decibels(rounding: RoundingMeasured | None) -> str:
    """The measured figure, else what is expected."""
    if rounding is None:
        return ""
    if rounding.measured_db is not None:
        return f"{rounding.measured_db:.1f}"
    return "" if rounding.expected_db is None else f"~{rounding.expected_db:.1f}"


def _rounding(dtype: str, rounding: RoundingMeasured) -> str:
    parts = []
    if rounding.measured_db is not None:
        parts.append(f"{rounding.measured_db:.1f} dB measured against the other")
    if rounding.expected_db is not None:
        parts.append(f"{rounding.expected_db:.1f} dB expected of its steps")
    if rounding.measured_db is None:
        parts.append("inspect weights --against FULL measures it")
    return f"{dtype}: " + "; ".join(parts)


def _examined(lines: LinesExamined) -> str:
    parts = []
    if lines.num_dead:
        named = ", ".join(map(str, lines.dead)) + _more(lines.num_dead, len(lines.dead))
        parts.append(f"{lines.num_dead:,} dead: {named}")
    if lines.num_outliers:
        shown = lines.outliers[:_NAMED]
        named = ", ".join(f"{each.index} ({each.norm:.3g}, {each.ratio:.3g}x)" for each in shown)
        named += _more(lines.num_outliers, len(shown))
        parts.append(f"{lines.num_outliers:,} far above the usual {lines.median_norm:.3g}: {named}")
    return "; ".join(parts)


def _counted(lines: LinesExamined) -> tuple[str, float]:
    """What is odd, and how much: by what the largest is above the median, what is dead first."""
    parts = []
    if lines.num_dead:
        parts.append(f"{_number(lines.num_dead, lines.axis)} dead: {lines.dead[0]}")
    if lines.outliers:
        first = lines.outliers[0]
        count = _number(lines.num_outliers, lines.axis)
        parts.append(f"{count} far above the usual: {first.index} by {first.ratio:.3g}x")
    return ", ".join(parts), math.inf if lines.num_dead else max(
        (each.ratio for each in lines.outliers), default=0.0
    )


def _number(count: int, noun: str) -> str:
    return f"{count:,} {noun}" + ("s" if count > 1 else "")


def _more(count: int, named: int) -> str:
    return ", ..." if count > named else ""


def _at(place: Place) -> str:
    return f"[{', '.join(map(str, place))}]"
