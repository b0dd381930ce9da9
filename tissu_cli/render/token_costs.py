"""A text whose tokens show what they cost."""

from collections.abc import Iterator, Sequence
from itertools import groupby

from rich.text import Text

from tissu_core.sanitize import sanitize_line

_LEVELS = (2.0, 3.0, 4.0)
"""Times the usual cost, from where a token is marked."""
_STYLES = ("", "black on #ffe38f", "black on #ffb36b", "black on #ff8a80")
_NAMES = ("", "yellow", "orange", "red")
_BRACKETS = (("", ""), ("[", "]"), ("[", "]"), ("[[", "]]"))
_LINE_END = "\u240a"
_TOKENS = 8


def costly_text(
    tokens: Sequence[str], costs: Sequence[float | None], usual: float, *, is_coloured: bool
) -> Text:
    """Costly tokens behind a colour, else in brackets; one whose cost is None is dim."""
    drawn = Text()
    for (level, is_known), group in groupby(
        zip(tokens, costs, strict=True), lambda pair: (_level(pair[1], usual), pair[1] is not None)
    ):
        pieces = [sanitize_line(token) for token, _ in group]
        if not is_coloured:
            left, right = _BRACKETS[level]
            pieces = [f"{left}{''.join(pieces)}{right}"]
        for piece in pieces:
            style = _STYLES[level] if is_coloured and is_known else "" if is_known else "dim"
            _append_lines(drawn, piece, style, is_shown=level > 0)
    drawn.rstrip()
    return drawn


def _append_lines(drawn: Text, piece: str, style: str, *, is_shown: bool) -> None:
    """Line ends end the line; costly ones show."""
    for number, line in enumerate(piece.split(_LINE_END)):
        if number:
            drawn.append(_LINE_END if is_shown else "", style)
            drawn.append("\n")
        drawn.append(line, style)


def _level(cost: float | None, usual: float) -> int:
    return sum((cost or 0.0) > times * usual for times in _LEVELS)


def costs_legend(usual: str, *, is_coloured: bool) -> Text:
    """What the marks of ``costly_text`` mean."""
    legend = Text(style="dim")
    for number, (mark, times) in enumerate(_marks(is_coloured=is_coloured)):
        legend.append(", " if number else "")
        legend.append(mark, _STYLES[_NAMES.index(mark)] if is_coloured else "")
        legend.append(f" {times:g}")
    return legend.append(f" times {usual} and more")


def _marks(*, is_coloured: bool) -> Iterator[tuple[str, float]]:
    if is_coloured:
        yield from zip(_NAMES[1:], _LEVELS, strict=True)
    else:
        yield "[one]", _LEVELS[0]
        yield "[[two]]", _LEVELS[-1]


def costliest(tokens: Sequence[str], costs: Sequence[float | None]) -> str:
    """The costliest tokens with their costs, in a line."""
    pairs = zip(costs, tokens, strict=True)
    known = sorted(((cost, token) for cost, token in pairs if cost is not None), reverse=True)
    return "  ".join(f"“{sanitize_line(token)}” {cost:.1f}" for cost, token in known[:_TOKENS])
