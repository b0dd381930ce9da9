"""The whole picture, laid out for the size of the terminal."""

from collections.abc import Sequence
from functools import partial
from itertools import zip_longest

from textual.content import Content

from tissu_cli.tui.watch import panes
from tissu_cli.tui.watch.bodies import Bodies
from tissu_cli.tui.watch.history import RunHistory

_WIDE, _HIGH = 100, 26
_LOW = 16
_FEWEST_COLUMNS, _FEWEST_ROWS = 24, 7
_LEGEND_ROWS = 6
_BLANK = Content()


def draw(
    runs: Sequence[RunHistory],
    chosen: int,
    width: int,
    height: int,
    now: float,
    bodies: Bodies,
    *,
    is_new: bool = True,
) -> list[Content]:
    """``height`` rows of ``width`` cells; a small screen gets less, not less of each.

    ``is_new`` says that the runs did something since the last picture.
    """
    run = runs[chosen]
    seen = tuple((other.state, len(other.scores), len(other.marks)) for other in runs)
    newest = run.samples[-1].step if run.samples else None
    bodies.begin((width, height, chosen, seen, newest), is_new=is_new)
    top = [panes.head(run, now)]
    if len(runs) > 1:
        top += panes.legend(runs, chosen)[: min(_LEGEND_ROWS, max(0, height - _FEWEST_ROWS))]
    bottom = [panes.foot(run, width)]
    room = height - len(top) - len(bottom)
    if width < _FEWEST_COLUMNS or height < _FEWEST_ROWS:
        middle = panes.loss(runs, chosen, width, 1, bodies)[:1] + panes.figures(run, width)
    elif width >= _WIDE and height >= _HIGH:
        middle = _wide(runs, chosen, width, room, bodies)
    else:
        middle = _narrow(runs, chosen, width, room, bodies)
    rows = [*top, *_tall(middle, room), *bottom]
    return [_fitted(row, number, width, bodies) for number, row in enumerate(rows[:height])]


def _fitted(row: Content, number: int, width: int, bodies: Bodies) -> Content:
    return bodies.kept(("row", number, width), (row,), lambda: panes.fitted(row, width))


def _wide(
    runs: Sequence[RunHistory], chosen: int, width: int, room: int, bodies: Bodies
) -> list[Content]:
    run = runs[chosen]
    low = max(6, room // 4)
    high = room - low - 1
    left = width * 3 // 5
    right = width - left - 1
    each, rest = divmod(high, 3)
    charts = [
        *_tall(panes.rate(run, right, each + rest, bodies), each + rest),
        *_tall(panes.norm(run, right, each, bodies), each),
        *_tall(panes.speed(run, right, each, bodies), each),
    ]
    texts = panes.sample(run, left, low, bodies), panes.words(run, right, low, bodies)
    return [
        *_beside(panes.loss(runs, chosen, left, high, bodies), charts, (left, right), bodies),
        _BLANK,
        *_beside(*texts, (left, right), bodies),
    ]


def _narrow(
    runs: Sequence[RunHistory], chosen: int, width: int, room: int, bodies: Bodies
) -> list[Content]:
    run = runs[chosen]
    below = panes.figures(run, width)
    if room < _LOW:
        below = below[1:]
    else:
        low = max(3, (room - len(below)) // 6)
        below = [
            *below,
            *panes.sample(run, width, low, bodies),
            *panes.words(run, width, low + 1, bodies),
        ]
    return [*panes.loss(runs, chosen, width, max(1, room - len(below)), bodies), *below]


def _tall(rows: list[Content], height: int) -> list[Content]:
    return (rows + [_BLANK] * height)[: max(0, height)]


def _beside(
    left: list[Content], right: list[Content], widths: tuple[int, int], bodies: Bodies
) -> list[Content]:
    """Two columns, a space between them."""
    rows = []
    for number, both in enumerate(zip_longest(left, right, fillvalue=_BLANK)):
        rows.append(bodies.kept((number, len(left), widths), both, partial(_joined, both, widths)))
    return rows


def _joined(both: tuple[Content, Content], widths: tuple[int, int]) -> Content:
    left, right = map(panes.fitted, both, widths)
    return Content.assemble(left, " ", right)
