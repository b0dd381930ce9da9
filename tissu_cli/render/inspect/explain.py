"""What each word of a prompt adds to its answer, for people."""

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from rich.console import Console, ConsoleOptions, Group, RenderableType
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from tissu_cli.render.diverging import diverging, marks
from tissu_cli.render.tables import facts_table
from tissu_core.sanitize import sanitize_line

if TYPE_CHECKING:
    from tissu_core.events.attributions import PartAttributed, PromptExplained

_ROWS = 24
"""The parts that are drawn; the others are summed up."""
_NARROWEST, _WIDEST = 16, 100
"""Columns of a bar."""
_NAMES = {
    "shap": "Shapley values",
    "lime": "LIME: slopes of a line",
    "ig": "integrated gradients",
}
_FOR, _AGAINST = "rgb(215,105,25)", "rgb(60,130,205)"


def explained_view(explained: "PromptExplained", *, is_coloured: bool) -> RenderableType:
    """What was asked, the prompt with what speaks for and against, bars, and the sum."""
    largest = max(abs(part.value) for part in explained.parts) or 1.0
    return Group(
        facts_table([*_facts(explained)]),
        Text(),
        _folded(_prompt(explained.parts, largest, is_coloured=is_coloured)),
        Text(),
        _bars(explained),
        Text(),
        _sum(explained),
    )


def _facts(explained: "PromptExplained") -> Iterator[tuple[str, object]]:
    yield "model", explained.model
    target = f"{_quoted(explained.target)}, p {_percent(explained.log_prob)}"
    count = len(explained.target_tokens)
    if count > 1:
        target += f" of all its {count} tokens in order: {'|'.join(explained.target_tokens)}"
    elif explained.is_own_target:
        target += ", the model's own likeliest next token"
    yield "target", target
    if not explained.is_own_target and explained.target_tokens != (explained.likeliest,):
        own = _percent(explained.likeliest_log_prob)
        yield "likeliest", f"{_quoted(explained.likeliest)}, p {own}"
    yield "method", f"{_NAMES[explained.method]}, {_effort(explained)}"
    stands = _quoted(explained.neutral) if explained.neutral else "the mean of all embeddings"
    yield "away is", f"{stands} for each token"


def _effort(explained: "PromptExplained") -> str:
    if explained.method == "ig":
        return f"{explained.readings:,} readings"
    exact = "exact, " if explained.method == "shap" else ""
    of = f"{exact}from all" if explained.is_exact else "from"
    return f"{of} {explained.readings:,} readings"


def _folded(text: Text) -> Table:
    """Text in lines of the view's width, wherever it is written to."""
    table = Table.grid()
    table.add_row(text)
    return table


def _prompt(parts: "Sequence[PartAttributed]", largest: float, *, is_coloured: bool) -> Text:
    """The prompt: warm words speak for the target, cool ones against; else signs behind them."""
    drawn = Text(overflow="fold")
    for part in parts:
        safe = sanitize_line(part.text)
        word = safe.lstrip(" ")
        drawn.append(safe[: len(safe) - len(word)])
        share = part.value / largest
        drawn.append(word, style=diverging(share) if is_coloured else "")
        if not is_coloured and marks(share):
            drawn.append(f"[{marks(share)}]")
        drawn.append("\n" * part.text.endswith("\n"))
    return drawn


def _bars(explained: "PromptExplained") -> Table:
    """One part a row, the largest first, then what the others add up to."""
    table = Table(box=None, pad_edge=False, header_style="dim", expand=True)
    has_errors = any(part.error for part in explained.parts)
    table.add_column("#", justify="right", style="dim", no_wrap=True)
    table.add_column(explained.by, no_wrap=True, overflow="ellipsis", max_width=24)
    table.add_column("nats", justify="right", no_wrap=True)
    if has_errors:
        table.add_column("±", no_wrap=True, style="dim", justify="right")
    values = [part.value for part in explained.parts]
    table.add_column(_Bar(None, values), ratio=1, no_wrap=True)
    numbered = sorted(enumerate(explained.parts, 1), key=lambda each: -abs(each[1].value))
    for number, part in numbered[:_ROWS]:
        table.add_row(
            f"{number}",
            _word(part.text),
            f"{part.value:+.3f}",
            *([f"{part.error:.3f}"] if has_errors else []),
            _Bar(part.value, values),
        )
    if others := [part.value for _, part in numbered[_ROWS:]]:
        rest = f"{len(others):,} more"
        blank = [""] if has_errors else []
        table.add_row("", Text(rest, "dim"), f"{sum(others):+.3f}", *blank, "")
    return table


class _Bar:
    """A bar to the right of an axis for what speaks for the target, to its left for the others.

    The axis stands where the values of all rows need it; None is the line above them.
    """

    def __init__(self, value: float | None, values: Sequence[float]) -> None:
        self.value = value
        self.low, self.high = -min(0.0, *values), max(0.0, *values)

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        return Measurement(_NARROWEST, options.max_width)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Text]:
        cells = min(options.max_width, _WIDEST) - 1
        scale = cells / ((self.low + self.high) or 1.0)
        left = round(self.low * scale)
        if self.value is None:
            against, speaks_for = (
                word if room >= len(word) else ""
                for word, room in (("against ", left), (" for", cells - left))
            )
            line = Text(f"{against:>{left}}│{speaks_for}", "dim")
        else:
            length = min(abs(self.value) * scale, left if self.value < 0 else cells - left)
            line = _drawn(length, left, is_for=self.value >= 0)
        line.no_wrap, line.overflow = True, "crop"
        yield line


def _drawn(length: float, left: int, *, is_for: bool) -> Text:
    """A bar of so many cells, to the half of one, at an axis with ``left`` cells before it."""
    whole, half = divmod(round(2 * length), 2)
    if is_for:
        line = Text(" " * left)
        return line.append("│", "dim").append("━" * whole + "╸" * half, _FOR)
    line = Text(" " * (left - whole - half))
    return line.append("╺" * half + "━" * whole, _AGAINST).append("│", "dim")


def _sum(explained: "PromptExplained") -> RenderableType:
    whole, empty = explained.log_prob, explained.neutral_log_prob
    line = Text(f"sum of all {explained.by}s {explained.sum_of_values:+.3f}", "bold")
    is_sum = explained.fit is None
    difference = f"f(x) {whole:.3f} - f(all away) {empty:.3f}"
    line.append(f" = {difference}" if is_sum else f"; {difference} is {whole - empty:+.3f}", "")
    line.append(f" (gap {_off(explained.gap)})", "")
    asked = f"f is log p({_quoted(explained.target)} | prompt), in nats"
    lines = [_folded(line), _folded(Text(asked, "dim"))]
    if explained.fit is not None:
        said = f"lime promises no such sum; its line explains {explained.fit:.1%} of the variance"
        lines.append(_folded(Text(said, "dim")))
    return Group(*lines)


def _off(gap: float) -> str:
    return "0" if gap < 1e-6 else f"{gap:.1%}" if gap >= 0.001 else f"{gap:.2%}"


def _percent(log_prob: float) -> str:
    share = math.exp(log_prob)
    return f"{share:.1%}" if share >= 0.001 else f"{share:.2g}"


def _word(text: str) -> Text:
    return Text(sanitize_line(text).strip(" ") or _quoted(text))


def _quoted(text: str) -> str:
    return f"“{sanitize_line(text).replace(' ', '·')}”"
