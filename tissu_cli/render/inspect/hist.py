"""Histograms over a run in the terminal: heat strips of a few tensors, a line for each of many."""

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from tissu_cli.render.braille import bars
from tissu_cli.render.inspect.activations import figure
from tissu_cli.render.inspect.sizes_of_values import sizes
from tissu_core.events.histograms import Exploding, HistogramsRead, TensorHistory
from tissu_core.sanitize import sanitize_line

_STRIPS = 12
"""More tensors than these are lines of a table."""
_ROWS, _LABEL = 12, 9
_SHADES = " ░▒▓█"
_SHOWN = 8
_FEW = 0.01
"""Numbers below it take fewer letters as powers of ten."""
_BESIDE = 30
"""Columns of a line beside its name and its bars."""
_WORDS = {"weight": "weights", "grad": "gradients", "activation": "activations"}


def histograms_view(read: HistogramsRead, width: int) -> RenderableType:
    """How each tensor's values are spread over time, then what is wrong."""
    parts: list[RenderableType] = []
    if len(read.tensors) <= _STRIPS:
        for history in read.tensors:
            parts += [*_strip(history, read.edges, width), Text()]
    else:
        for kind, words in _WORDS.items():
            chosen = [history for history in read.tensors if history.kind == kind]
            if chosen:
                parts += [Text(words, style="bold"), _table(chosen, read.edges, width), Text()]
    return Group(*parts, *_findings(read))


def _name(history: TensorHistory) -> str:
    return sanitize_line(history.name.removeprefix("model.").removesuffix(".weight"))


def _strip(history: TensorHistory, edges: Sequence[float], width: int) -> Iterator[RenderableType]:
    """Time across, values from the largest down, the fullest bins of a moment darkest."""
    title = Text(f"{_name(history)}  ", style="bold").append(
        f"{_WORDS[history.kind]}, ", "not bold dim"
    )
    title.append(f"norm {figure(history.norms[0])} to {figure(history.norms[-1])}", "not bold dim")
    yield title
    columns = _columns(history.histograms, max(8, width - _LABEL - 1))
    filled = [i for i in range(len(edges) - 1) if any(column[i] for column in columns)]
    if not filled:
        yield Text("  no finite values", style="red")
        return
    half = (len(edges) - 1) // 2
    reach = max(half - filled[0], filled[-1] + 1 - half)
    near = _nearest_zero(columns, half)
    step = max(1, math.ceil(2 * (reach - near) / _ROWS))
    starts = range(half - reach, half + reach)
    groups = _groups(starts, half, near, step)
    tops = [max(sum(column[i] for i in group) for group in groups) for column in columns]
    for group in groups:
        bound = edges[group[-1] + 1] if group[0] >= half else edges[group[0]]
        label = "0" if group[0] < half <= group[-1] else f"{bound:+.1g}"
        cells = "".join(
            _shade(sum(column[i] for i in group), fullest)
            for column, fullest in zip(columns, tops, strict=True)
        )
        yield Text(f"{label:>{_LABEL}} ", style="dim").append(cells, style="not dim cyan")
    first, last = history.steps[0], history.steps[-1]
    ends = f"step {first:,}".ljust(max(0, len(columns) - len(f"{last:,}"))) + f"{last:,}"
    yield Text(" " * (_LABEL + 1) + ends, style="dim")


def _nearest_zero(columns: Sequence[Sequence[int]], half: int) -> int:
    """Bins on each side of zero that hold so little that they share a row."""
    zeros = sum(column[half] + column[half - 1] for column in columns)
    total = sum(map(sum, columns)) - zeros
    near, held = 1, 0
    while near < half - 1:
        held += sum(column[half + near] + column[half - 1 - near] for column in columns)
        if held > 0.02 * total:
            break
        near += 1
    return near


def _groups(bins: Sequence[int], half: int, near: int, step: int) -> list[list[int]]:
    """Bins that share a row, the largest values first: mirrored about those nearest to zero."""
    above = [i for i in bins if i >= half + near]
    below = [i for i in bins if i < half - near]
    rows = [above[i : i + step] for i in range(0, len(above), step)][::-1]
    middle = [i for i in bins if half - near <= i < half + near]
    backwards = below[::-1]
    mirrored = [backwards[i : i + step][::-1] for i in range(0, len(backwards), step)]
    return [*rows, *([middle] if middle else []), *mirrored]


def _shade(count: int, fullest: int) -> str:
    """More than nothing is never blank."""
    return _SHADES[math.ceil(4 * count / fullest)] if count else _SHADES[0]


def _columns(histograms: Sequence[Sequence[int]], width: int) -> list[list[int]]:
    """Histograms in time, those that share a column added up; few are drawn wider."""
    count = len(histograms)
    if count <= width:
        times = max(1, min(4, width // count))
        return [list(each) for each in histograms for _ in range(times)]
    cuts = [round(i * count / width) for i in range(width + 1)]
    spans = pairwise(cuts)
    return [[sum(values) for values in zip(*histograms[a:b], strict=True)] for a, b in spans]


def _table(histories: Sequence[TensorHistory], edges: Sequence[float], width: int) -> Table:
    longest = max(len(_name(history)) for history in histories)
    room = max(15, min(60, width - _BESIDE - longest))
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 1, 0, 0))
    table.add_column("tensor", overflow="ellipsis", no_wrap=True, min_width=20)
    for column in ("norm", "now", "half", "99 %"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("norms", no_wrap=True)
    table.add_column("sizes now", no_wrap=True)
    for history in histories:
        spread = [0, *sizes(history.histograms[-1])[1:]]
        shown = [i for i, count in enumerate(spread) if count >= 1e-3 * sum(spread)]
        spread = spread[min(shown) : max(shown) + 1] if shown and sum(spread) else []
        table.add_row(
            Text(_name(history)),
            figure(history.norms[0]),
            figure(history.norms[-1]),
            _percentile(history, edges, 0.5),
            _percentile(history, edges, 0.99),
            Text(bars(history.norms, room // 3), style="cyan"),
            Text(bars(spread, room - room // 3), style="cyan"),
        )
    return table


def _percentile(history: TensorHistory, edges: Sequence[float], share: float) -> str:
    """The size that so many values are below, as near as bins tell; "" of nothing."""
    counts, half, below = sizes(history.histograms[-1]), len(edges) // 2, 0
    for place, count in enumerate(counts):
        below += count
        if count and below >= share * sum(counts):
            bound = edges[half + place + 1] if place else 0.0
            return f"{bound:.0e}" if 0 < bound < _FEW else f"{bound:.2g}"
    return ""


def _findings(read: HistogramsRead) -> Iterator[Text]:
    for each in read.exploding:
        yield Text(_explosion(each), style="bold red")
    for dead in read.dead:
        name = sanitize_line(dead.name.removeprefix("model.").removesuffix(".down_proj"))
        shown = ", ".join(map(str, dead.units[:_SHOWN]))
        more = len(dead.units) - _SHOWN
        text = f"dead in {name} since step {dead.since:,}: {len(dead.units):,} of "
        text += f"{dead.num_units:,} units: {shown}" + (f" and {more:,} more" if more > 0 else "")
        yield Text(text, style="yellow")
    if not (read.exploding or read.dead):
        yield Text("no dead units, nothing explodes", style="dim")
    yield Text(f"{len(read.steps)} records up to step {read.steps[-1]:,}", style="dim")


def _explosion(each: Exploding) -> str:
    name = f"{sanitize_line(each.name)} ({_WORDS[each.kind]})"
    if each.not_finite:
        return f"{name} has {each.not_finite:,} NaN or infinite values at step {each.step:,}"
    times = figure(each.norm / each.usual)
    return f"{name} explodes at step {each.step:,}: its norm is {times} times what was usual"
