"""The whole picture, laid out for the size of the terminal."""

from collections.abc import Sequence
from itertools import zip_longest

from textual.content import Content

from tissu_cli.tui.watch import panes
from tissu_cli.tui.watch.history import RunHistory

_WIDE, _HIGH = 100, 26
_LOW = 16
_FEWEST_COLUMNS, _FEWEST_ROWS = 24, 7
_LEGEND_ROWS = 6


def draw(
    runs: Sequence[RunHistory], chosen: int, width: int, height: int, now: float
) -> list[Content]:
    """``height`` rows of ``width`` cells; a small screen gets less, not less of each."""
    run = runs[chosen]
    top = [panes.head(run, now)]
    if len(runs) > 1:
        top += panes.legend(runs, chosen)[: min(_LEGEND_ROWS, max(0, height - _FEWEST_ROWS))]
    bottom = [panes.foot(run, width)]
    room = height - len(top) - len(bottom)
    if width < _FEWEST_COLUMNS or height < _FEWEST_ROWS:
        middle = panes.loss(runs, chosen, width, 1)[:1] + panes.figures(run, width)
    elif width >= _WIDE and height >= _HIGH:
        middle = _wide(runs, chosen, width, room)
    else:
        middle = _narrow(runs, chosen, width, room)
    rows = [*top, *(middle + [Content()] * room)[: max(0, room)], *bottom]
    return [panes.fitted(row, width) for row in rows[:height]]


def _wide(runs: Sequence[RunHistory], chosen: int, width: int, room: int) -> list[Content]:
    run = runs[chosen]
    low = max(6, room // 4)
    high = room - low - 1
    left = width * 3 // 5
    right = width - left - 1
    each, rest = divmod(high, 3)
    charts = [
        *_tall(panes.rate(run, right, each + rest), each + rest),
        *_tall(panes.norm(run, right, each), each),
        *_tall(panes.speed(run, right, each), each),
    ]
    upper = _beside(panes.loss(runs, chosen, left, high), charts, left, right)
    texts = panes.sample(run, left, low), panes.words(run, right, low)
    return [*upper, Content(), *_beside(*texts, left, right)]


def _narrow(runs: Sequence[RunHistory], chosen: int, width: int, room: int) -> list[Content]:
    run = runs[chosen]
    below = panes.figures(run, width)
    if room < _LOW:
        below = below[1:]
    else:
        low = max(3, (room - len(below)) // 6)
        below = [*below, *panes.sample(run, width, low), *panes.words(run, width, low + 1)]
    return [*panes.loss(runs, chosen, width, max(1, room - len(below))), *below]


def _tall(rows: list[Content], height: int) -> list[Content]:
    return (rows + [Content()] * height)[:height]


def _beside(
    left: list[Content], right: list[Content], left_width: int, right_width: int
) -> list[Content]:
    """Two columns, a space between them."""
    return [
        Content.assemble(panes.fitted(a, left_width), " ", panes.fitted(b, right_width))
        for a, b in zip_longest(left, right, fillvalue=Content())
    ]
