"""The verb train --resume: on from where a run stopped, equal to the bit on a CPU."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from tissu_core.checkpoint.store import CheckpointStore, FallbackOfferedError
from tissu_core.config.runs import TrainRun
from tissu_core.data.corpus import PreparationStoppedError
from tissu_core.data.shards import TokenShards
from tissu_core.data.vocabulary import vocabulary_of
from tissu_core.events.shared import Noticed
from tissu_core.events.training import Planned, RunResumed, TrainEvent
from tissu_core.models.count import checkpoint_bytes
from tissu_core.runs.changed_settings import Settle, override, refuse_other_shape, shape_of
from tissu_core.runs.follow import read_events
from tissu_core.runs.room import require_room
from tissu_core.runs.run_directory import CHECKPOINTS, find_run, writing
from tissu_core.runs.run_loop import (
    Log,
    logging_to,
    run_to_end,
    set_up_machine,
)
from tissu_core.runs.stored_run import DataSeam, StoredRun, read_run, write_run
from tissu_core.runs.stored_tokens import find_tokens, without_gone_text
from tissu_core.storage import read_manifest

if TYPE_CHECKING:
    from tissu_core.runs.origin import Origin


def resume(
    given: str,
    stop: threading.Event,
    *,
    settle: Settle = lambda stored: stored,
    is_override: bool = False,
    is_data_change_accepted: bool = False,
    accepts_older: Callable[[FallbackOfferedError], bool] = lambda error: False,
) -> Iterator[TrainEvent]:
    """Go on with a run, by name or path or "last", from its newest verified checkpoint.

    ``settle`` makes of the stored settings those that are wanted; with ``is_override`` they may
    differ. ``accepts_older`` is asked when that checkpoint is damaged and an older one is good.

    Raises:
        IntegrityError: If that checkpoint is damaged, or the corpus is not what it was.
        ConfigError: If settings differ from those of the run or of its checkpoint.
        BusyError: If the run is being written.
    """
    directory = find_run(given)
    with writing(directory), logging_to(directory) as log:
        stored = read_run(directory)
        if is_data_change_accepted:
            stored = without_gone_text(stored)
        run, changes = override(stored.run, settle, is_allowed=is_override)
        store = CheckpointStore(directory / CHECKPOINTS, run.training.keep)
        checkpoint = _choose_checkpoint(store, accepts_older)
        yield from _never_finished(store, checkpoint)
        if checkpoint is not None:
            refuse_other_shape(stored.run, directory, checkpoint)
        origin = _origin_of(run) if checkpoint is None else None
        learned = vocabulary_of(checkpoint) if checkpoint else None
        if origin is not None:
            learned = origin.vocabulary
        try:
            shards = yield from find_tokens(
                stored, learned, stop.is_set, log, is_change_accepted=is_data_change_accepted
            )
        except PreparationStoppedError:
            yield Noticed(level="info", text="stopped before the first step; nothing changed")
            return
        if changes:
            yield log(Noticed(level="warning", text=f"settings changed: {', '.join(changes)}"))
        if changes or shards.directory.name != stored.tokens_key:
            stored, planned = _plan_again(stored, run, shards, checkpoint, origin)
            write_run(directory, stored)
            yield log(planned)
        else:
            events = read_events(directory)
            yield from [event for event in events if isinstance(event, Planned)][-1:]
        yield from _resume_at(directory, stored, shards, checkpoint or origin, stop, log)


def _origin_of(run: TrainRun) -> "Origin | None":
    """The model that a run goes on from, if it does, of which nothing was saved yet."""
    if not run.tuning.origin:
        return None
    from tissu_core.runs.origin import open_origin

    return open_origin(run)


def _choose_checkpoint(
    store: CheckpointStore, accepts_older: Callable[[FallbackOfferedError], bool]
) -> Path | None:
    store.recover()
    if not store.steps():
        return None
    try:
        return store.newest_verified(is_fallback_allowed=False)
    except FallbackOfferedError as error:
        if not accepts_older(error):
            raise
        return store.newest_verified(is_fallback_allowed=True)


def _never_finished(store: CheckpointStore, checkpoint: Path | None) -> Iterator[TrainEvent]:
    """A word when a crash left a later step than the one that is gone on from."""
    step = max(store.never_finished(), default=-1)
    if checkpoint is not None and step > store.steps()[-1]:
        yield Noticed(
            level="info",
            text=f"step {step} was never saved to its end; going on from {checkpoint.name}",
        )


def _plan_again(
    stored: StoredRun,
    run: TrainRun,
    shards: TokenShards,
    checkpoint: Path | None,
    origin: "Origin | None",
) -> tuple[StoredRun, Planned]:
    """What follows from changed settings or a changed text, which all is said and stored."""
    from tissu_core.runs.loading import read_model_config
    from tissu_core.runs.train import plan_run

    given = origin.loaded.model.config if origin else None
    if run.tuning.origin and checkpoint is not None:
        given = read_model_config(checkpoint)
    plan, planned = plan_run(run, shards, given)
    step = read_manifest(checkpoint)["step"] if checkpoint is not None else 0
    key, seam = shards.directory.name, stored.seam
    if key != stored.tokens_key:
        seam = DataSeam(text_from_step=step, step=step)
    elif run.training.batch_tokens != stored.run.training.batch_tokens:
        assert stored.run.training.batch_tokens and run.model.context_tokens
        batch = stored.run.training.batch_tokens // run.model.context_tokens
        window = max(0, seam.window + (step - seam.step) * batch)
        seam = replace(seam, step=step, window=window)
    return StoredRun(run=plan.run, steps=plan.steps, tokens_key=key, seam=seam), planned


def _resume_at(
    directory: Path,
    stored: StoredRun,
    shards: TokenShards,
    start: "Path | Origin | None",
    stop: threading.Event,
    log: Log,
) -> Iterator[TrainEvent]:
    """Go on from a checkpoint, or begin with the model that was named, or with fresh weights."""
    from tissu_core.runs.assemble import assemble_new, assemble_saved, assemble_tuned
    from tissu_core.runtime.device import resolve_device

    run, steps = stored.run, stored.steps
    set_up_machine(run)
    device = resolve_device(run.machine.device)
    if isinstance(start, Path):
        yield from map(log, _other_torch(start))
        assembly = assemble_saved(run, steps, shards, directory, start, device, seam=stored.seam)
    else:
        yield log(Noticed(level="warning", text="nothing was saved yet; the run begins at step 0"))
        if start is None:
            config = shape_of(run.model, shards.facts["vocab_size"])
            assembly = assemble_new(run, config, steps, shards, directory, device)
        else:
            assembly = assemble_tuned(run, steps, start.loaded, shards, directory, device)
    num_saved = len(assembly.store.steps())
    require_room(directory, checkpoint_bytes(assembly.model.config), num_saved)
    step = assembly.state.step
    yield log(RunResumed(name=directory.name, directory=str(directory), from_step=step))
    yield from run_to_end(directory, assembly, stop, log, assembly.state.elapsed_seconds)


def _other_torch(checkpoint: Path) -> Iterator[TrainEvent]:
    """A word when another torch computes on: its sums may differ in the last bit."""
    import torch

    before = read_manifest(checkpoint).get("torch")
    if before != torch.__version__:
        yield Noticed(
            level="warning",
            text=f"this run began with torch {before} and goes on with {torch.__version__}: it is "
            "no longer equal to the bit to one that never stopped",
        )
