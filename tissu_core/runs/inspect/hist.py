"""The verb inspect hist: how weights, gradients and activations changed over a run. No torch."""

import json
import re
from bisect import insort
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

from tissu_core.errors import InputError
from tissu_core.events.histograms import (
    DeadUnits,
    Exploding,
    HistogramKind,
    HistogramsEvent,
    HistogramsRead,
    HistogramsTaken,
    TensorHistogram,
    TensorHistory,
    taken_from,
)
from tissu_core.events.shared import Noticed
from tissu_core.runs.follow import read_facts
from tissu_core.runs.inspect.layers import require_layer
from tissu_core.runs.run_directory import find_run
from tissu_core.runs.train.histograms import HISTOGRAMS_FILE
from tissu_core.runs.train.stored_run import read_run

_LAYER = re.compile(r"layers\.(\d+)(\.|$)")
_GROWN: dict[HistogramKind, float] = {"weight": 10.0, "activation": 10.0, "grad": 100.0}
"""Times its usual norm, from which on a tensor explodes. While matrices that begin at zero fill,
the gradients of those behind them grow tenfold in a sound run."""
_FEWEST = 4
"""Records before one, below which nothing is called usual."""


def inspect_histograms(
    given: str, *, layer: int | None, kind: HistogramKind | None, dead_for: int
) -> Iterator[HistogramsEvent]:
    """The histograms of a run, and the units and tensors that are not well by them.

    Units are dead that no token used in the last ``dead_for`` records.

    Raises:
        InputError: If there is no such run, or it has none.
        ConfigError: If it has no such layer.
    """
    directory = find_run(given)
    taken, bad_lines = read_histograms(directory)
    if bad_lines:
        lines = ", ".join(map(str, bad_lines[:3])) + (" and others" if bad_lines[3:] else "")
        yield Noticed(
            level="warning",
            text=f"{HISTOGRAMS_FILE} is damaged in line {lines}, which is passed over",
        )
    if not taken:
        raise _none(directory)
    histories = list(_histories(taken))
    require_layer(layer, 1 + max(h.layer or 0 for h in histories), directory.name)
    chosen = [h for h in histories if layer is None or h.layer == layer]
    chosen = [h for h in chosen if kind is None or h.kind == kind]
    names = {history.name for history in chosen}
    yield HistogramsRead(
        run=directory.name,
        steps=tuple(each.step for each in taken),
        edges=taken[-1].edges,
        tensors=tuple(chosen),
        dead=tuple(d for d in _dead(taken, dead_for) if d.name in names),
        exploding=tuple(filter(None, map(_exploding, chosen))),
    )


def read_histograms(directory: Path) -> tuple[list[HistogramsTaken], list[int]]:
    """The records that count, and the numbers of damaged lines.

    After a resume, or a step back, later records of the earlier try are dropped.
    """
    found: list[HistogramsTaken] = []
    bad: list[int] = []
    path = directory / HISTOGRAMS_FILE
    if not path.is_file():
        return found, bad
    with path.open(encoding="utf-8", errors="replace") as lines:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                record = json.loads(line)
                if record["event"] == "RunResumed":
                    last = int(record["from_step"])
                    while found and found[-1].step > last:
                        found.pop()
                    continue
                taken = taken_from(record)
            except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
                taken = None
            if taken is None or (found and taken.edges != found[-1].edges):
                bad.append(number)
                continue
            while found and found[-1].step >= taken.step:
                found.pop()
            found.append(taken)
    return found, bad


def _none(directory: Path) -> InputError:
    """How to get histograms: of the rest of this run, or of the same run anew."""
    again = f"tissu train {' '.join(read_run(directory).run.data.corpus)} --hist-every 50"
    if read_facts(directory).state != "finished":
        again = f"tissu train --resume {directory.name} --override --hist-every 50"
    return InputError(f"{directory.name} has written no histograms", hint=again)


def _histories(taken: Sequence[HistogramsTaken]) -> Iterator[TensorHistory]:
    """Each tensor over all records that have it, in the order of the newest."""
    found: dict[tuple[HistogramKind, str], list[tuple[int, TensorHistogram]]] = defaultdict(list)
    for each in [taken[-1], *taken[:-1]]:
        for tensor in each.tensors:
            found[tensor.kind, tensor.name].append((each.step, tensor))
    num_bins = len(taken[-1].edges) - 1
    for (kind, name), seen in found.items():
        seen.sort(key=lambda pair: pair[0])
        tensors = [tensor for _, tensor in seen]
        layer = _LAYER.search(name)
        yield TensorHistory(
            name=name,
            kind=kind,
            layer=int(layer[1]) if layer else None,
            numel=tensors[-1].numel,
            steps=tuple(step for step, _ in seen),
            norms=tuple(tensor.norm for tensor in tensors),
            not_finite=tuple(tensor.not_finite for tensor in tensors),
            histograms=tuple(_all_bins(tensor, num_bins) for tensor in tensors),
        )


def _all_bins(tensor: TensorHistogram, num_bins: int) -> tuple[int, ...]:
    behind = num_bins - tensor.first_bin - len(tensor.counts)
    return (*[0] * tensor.first_bin, *tensor.counts, *[0] * behind)


def _dead(taken: Sequence[HistogramsTaken], dead_for: int) -> Iterator[DeadUnits]:
    if len(taken) < dead_for:
        return
    masks: dict[str, list[int]] = defaultdict(list)
    sizes: dict[str, int] = {}
    for each in taken[-dead_for:]:
        for tensor in each.tensors:
            if tensor.num_units:
                masks[tensor.name].append(int(tensor.dead or "0", 16))
                sizes[tensor.name] = tensor.num_units
    for name, seen in masks.items():
        always = -1
        for mask in seen:
            always &= mask
        units = tuple(unit for unit in range(sizes[name]) if always >> unit & 1)
        if units and len(seen) == dead_for:
            yield DeadUnits(
                name=name,
                units=units,
                num_units=sizes[name],
                records=dead_for,
                since=taken[-dead_for].step,
            )


def _exploding(history: TensorHistory) -> Exploding | None:
    """The record in which a tensor is not finite, or else the furthest above the usual, if any.

    The usual is the median of the norms before it that are not zero: what begins at zero grows.
    """
    worst: tuple[float, int, float] | None = None
    before: list[float] = []
    for index, norm in enumerate(history.norms):
        usual = _middle(before)
        if history.not_finite[index]:
            worst = (0.0, index, usual)
            break
        if len(before) >= _FEWEST and norm > _GROWN[history.kind] * usual:
            worst = max(worst or (0.0, 0, 0.0), (norm / usual, index, usual))
        if norm > 0:
            insort(before, norm)
    if worst is None:
        return None
    _, index, usual = worst
    return Exploding(
        name=history.name,
        kind=history.kind,
        step=history.steps[index],
        norm=history.norms[index],
        usual=usual,
        not_finite=history.not_finite[index],
    )


def _middle(ordered: Sequence[float]) -> float:
    """The median of what is in order already; sorting it anew at each record would take long."""
    count = len(ordered)
    return (ordered[(count - 1) // 2] + ordered[count // 2]) / 2 if count else 0.0
