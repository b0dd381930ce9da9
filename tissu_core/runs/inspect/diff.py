"""The verb inspect diff: which layers moved between two models, by how much and since when."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING

from tissu_core.checkpoint.store import CheckpointStore
from tissu_core.config.layers import to_settings
from tissu_core.errors import InputError
from tissu_core.events.shared import StageAdvanced
from tissu_core.events.tensors import DiffEvent, TensorCompared, WeightsCompared
from tissu_core.runs.catalog import find_model
from tissu_core.runs.inspect.readers import open_reader, refuse_same
from tissu_core.runs.run_directory import CHECKPOINTS, MODEL, find_run, run_of, step_of
from tissu_core.runs.train.stored_run import read_run
from tissu_core.storage import is_sealed

if TYPE_CHECKING:
    from tissu_core.checkpoint.stored_model import StoredModel

_MOST_PLACES = 12
"""Checkpoints of a run that are read for when its layers began to move."""
_NAMES = ("name", "out")
"""Of a run; they are others in any two."""


def inspect_diff(one: str | None, other: str | None) -> Iterator[DiffEvent]:
    """What became of the first model in the second; of a run alone, over its checkpoints.

    Raises:
        InputError: If there is no such model, or they share no tensor.
        ConfigError: If both are one.
    """
    before, after = _ends(one) if other is None else (find_model(one), find_model(other))
    refuse_same(before, after, "B")
    from tissu_core.interpret.model_comparison import (
        compare_parts,
        iter_compared,
        layers_moved,
        pair,
    )

    places = _between(before, after)
    with ExitStack() as leases:
        readers = {path: open_reader(path, leases) for path in (before, after)}
        paired = pair(readers[before], readers[after])
        if not paired.both:
            raise InputError(
                f"{before} and {after} share no tensor of one name and shape",
                hint="tissu inspect tree MODEL shows what a model has",
            )
        series: list[list[TensorCompared]] = []
        total = len(paired.both) * (len(places) - 1)
        for path in places[1:]:
            reader = readers.get(path) or open_reader(path, leases)
            found: list[TensorCompared] = []
            for compared in iter_compared(readers[before], reader, paired.both):
                found.append(compared)
                done = len(found) + len(series) * len(paired.both)
                yield StageAdvanced(stage="comparing", done=done, total=total, unit="tensors")
            series.append(found)
        settings = _settings_changed(readers[before].model, readers[after].model)
    steps = [step_of(path) or 0 for path in places]
    yield WeightsCompared(
        before=str(before),
        after=str(after),
        settings=settings,
        tensors=tuple(series[-1]),
        parts=compare_parts(series[-1]),
        only_before=paired.only_before,
        only_after=paired.only_after,
        other_shapes=paired.other_shapes,
        moved=layers_moved(steps, series) if len(places) > 2 else (),
    )


def _ends(given: str | None) -> tuple[Path, Path]:
    """The first and the last of a run's checkpoints."""
    run = find_run(given or "last")
    places = _places(run)
    if len(places) < 2:
        raise InputError(
            f"run {run.name!r} has {len(places)} checkpoint, and a difference needs two",
            hint=f"tissu inspect diff OTHER {run.name}, or train with --keep 10",
        )
    return places[min(places)], places[max(places)]


def _places(run: Path) -> dict[int, Path]:
    """A run's checkpoints by their steps, and its model where that is of none of these."""
    store = CheckpointStore(run / CHECKPOINTS)
    places = {step: store.path_of(step) for step in store.steps()}
    model = run / MODEL
    step = step_of(model) if is_sealed(model) else None
    if step is not None:
        places.setdefault(step, model)
    return places


def _between(before: Path, after: Path) -> list[Path]:
    """From one to the other, with checkpoints between them where both are of one run."""
    run = run_of(before)
    first, last = step_of(before), step_of(after)
    if run is None or run != run_of(after) or first is None or last is None:
        return [before, after]
    low, high = sorted((first, last))
    inner = {step: path for step, path in _places(run).items() if low < step < high}
    steps = sorted(inner, reverse=first > last)
    if len(steps) > _MOST_PLACES - 2:
        spread = len(steps) / (_MOST_PLACES - 2)
        steps = [steps[int(number * spread)] for number in range(_MOST_PLACES - 2)]
    return [before, *(inner[step] for step in steps), after]


def _settings_changed(
    before: "StoredModel", after: "StoredModel"
) -> tuple[tuple[str, str, str], ...]:
    """What differs: of the architecture, and of the training where they are of two runs."""
    try:
        older, newer = _shape(before), _shape(after)
    except InputError:  # of a family that is not computed here, whose tensors can be read
        older, newer = ({k: str(v) for k, v in m.table.items()} for m in (before, after))
    runs = run_of(before.path), run_of(after.path)
    if runs[0] is not None and runs[1] is not None and runs[0] != runs[1]:
        older |= _training(runs[0])
        newer |= _training(runs[1])
    names = dict.fromkeys([*older, *newer])
    pairs = [(name, older.get(name, "-"), newer.get(name, "-")) for name in names]
    return tuple(each for each in pairs if each[1] != each[2])


def _shape(model: "StoredModel") -> dict[str, str]:
    """The resolved architecture, which says the same of a GGUF as of a directory."""
    from tissu_core.checkpoint.model_directory import from_hugging_face

    config = from_hugging_face(model.table, model.path)
    return {spec.name: str(getattr(config, spec.name)) for spec in fields(config)}


def _training(run: Path) -> dict[str, str]:
    settings = to_settings(read_run(run).run)
    return {
        name: str(value)
        for name, value in settings.items()
        if name not in _NAMES and not name.startswith("model.")
    }
