"""The verb train --resume: on from where a run stopped, equal to the bit on a CPU."""

import shlex
import threading
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from tissu_core.checkpoint.store import CheckpointStore, FallbackOfferedError
from tissu_core.config.profiling import NO_PROFILE, ProfileConfig
from tissu_core.config.runs import TrainRun
from tissu_core.data.corpus import PreparationStoppedError
from tissu_core.data.shards import TokenShards
from tissu_core.data.vocabulary import vocabulary_of
from tissu_core.errors import ResourceError
from tissu_core.events.shared import Noticed
from tissu_core.events.training import Planned, RunResumed, TrainEvent
from tissu_core.runs.follow import read_events
from tissu_core.runs.home import runs_directory
from tissu_core.runs.run_directory import CHECKPOINTS, find_run, writing
from tissu_core.runs.suites import open_suites
from tissu_core.runs.train.changed_settings import Settle, override, refuse_other_shape, shape_of
from tissu_core.runs.train.many import in_turn, needs_workers, on_all_ranks, writing_on_main
from tissu_core.runs.train.planning_again import plan_again
from tissu_core.runs.train.room import require_room
from tissu_core.runs.train.run_loop import (
    Log,
    run_to_end,
    set_up_machine,
)
from tissu_core.runs.train.stored_run import StoredRun, read_run, write_run
from tissu_core.runs.train.stored_tokens import find_tokens, without_gone_text
from tissu_core.runs.train.workers import check_devices, run_workers
from tissu_core.storage import read_manifest
from tissu_core.tracking.control import Control

if TYPE_CHECKING:
    from tissu_core.parallel.ranks import Ranks
    from tissu_core.runs.train.origin import Origin


def resume(
    given: str,
    stop: threading.Event,
    *,
    settle: Settle = lambda stored: stored,
    is_override: bool = False,
    is_data_change_accepted: bool = False,
    accepts_older: Callable[[FallbackOfferedError], bool] = lambda error: False,
    profiling: ProfileConfig = NO_PROFILE,
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
    asked = _Asked(
        settle=settle,
        is_override=is_override,
        is_data_change_accepted=is_data_change_accepted,
        accepts_older=accepts_older,
        profiling=profiling,
    )
    run, _ = override(read_run(directory).run, settle, is_allowed=is_override)
    _require_devices(directory, run)
    open_suites(run.training.eval_suites)
    if needs_workers(run.machine):
        yield from _resume_in_workers(directory, run, asked, stop)
    else:
        yield from on_all_ranks(
            run.machine, lambda ranks: _resume(directory, stop, asked, ranks), stop
        )


def _require_devices(directory: Path, run: TrainRun) -> None:
    """Refuse to go on where there is not what the run began on.

    Raises:
        ResourceError: With the command that goes on without.
    """
    from tissu_core.runtime.device import resolve_device
    from tissu_core.runtime.precision import resolve_precision

    machine = run.machine
    fewer = "--gpus 1 " if machine.gpus > 1 else ""
    # What a processor has of fp8 is bf16; it has the others, if slowly.
    other = " --precision bf16" if machine.precision == "fp8" else ""
    instead: str | None = f"{fewer}--device cpu{other}"
    try:
        check_devices(machine.gpus)
        device = resolve_device(machine.device)
        if machine.precision == "fp8":
            instead = None
            resolve_precision(machine.precision, device)
    except ResourceError as error:
        name = directory.name if directory.parent == runs_directory() else str(directory)
        raise ResourceError(
            f"{directory.name} trains on {machine.device}; {error.message}",
            safe="the run, which is as it was",
            hint=f"tissu train --resume {shlex.quote(name)} --override {instead or error.hint}",
        ) from error


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    settle: Settle
    is_override: bool
    is_data_change_accepted: bool
    accepts_older: Callable[[FallbackOfferedError], bool]
    profiling: ProfileConfig


def _resume_in_workers(
    directory: Path, run: TrainRun, asked: _Asked, stop: threading.Event
) -> Iterator[TrainEvent]:
    """Whether an older checkpoint will do is asked here, where somebody may answer."""
    with writing(directory):
        store = CheckpointStore(directory / CHECKPOINTS, run.training.keep)
        chosen = _choose_checkpoint(store, asked.accepts_older)
        is_fallback = chosen is not None and chosen != store.path_of(store.steps()[-1])
    verb = {
        "verb": "resume",
        "given": str(directory),
        "is_override": asked.is_override,
        "is_data_change_accepted": asked.is_data_change_accepted,
        "is_fallback": is_fallback,
        "profiling": asdict(asked.profiling),
    }
    yield from run_workers(run, verb, stop)


def _resume(
    directory: Path, stop: threading.Event, asked: _Asked, ranks: "Ranks"
) -> Iterator[TrainEvent]:
    is_data_change_accepted = asked.is_data_change_accepted
    with writing_on_main(directory, ranks) as log:
        control = Control(directory)
        stored = read_run(directory)
        if is_data_change_accepted:
            stored = without_gone_text(stored)
        run, changes = override(stored.run, asked.settle, is_allowed=asked.is_override)
        store = CheckpointStore(directory / CHECKPOINTS, run.training.keep)
        checkpoint = ranks.from_main(lambda: _choose_checkpoint(store, asked.accepts_older))
        yield from _never_finished(store, checkpoint)
        if checkpoint is not None:
            refuse_other_shape(stored.run, directory, checkpoint)
        origin = _origin_of(run) if checkpoint is None else None
        learned = vocabulary_of(checkpoint) if checkpoint else None
        if origin is not None:
            learned = origin.vocabulary
        try:
            shards = yield from in_turn(
                ranks,
                lambda: find_tokens(
                    stored, learned, stop.is_set, log, is_change_accepted=is_data_change_accepted
                ),
            )
        except PreparationStoppedError:
            yield Noticed(level="info", text="stopped before the first step; nothing changed")
            return
        if changes:
            yield log(Noticed(level="warning", text=f"settings changed: {', '.join(changes)}"))
        if changes or shards.directory.name != stored.tokens_key:
            before = stored
            stored, planned = ranks.from_main(
                lambda: plan_again(before, run, shards, checkpoint, origin, ranks.world_size)
            )
            ranks.from_main(lambda: write_run(directory, stored))
            yield log(planned)
        else:
            events = read_events(directory)
            yield from [event for event in events if isinstance(event, Planned)][-1:]
        to_end = partial(
            run_to_end, directory, stop=stop, log=log, control=control, profiling=asked.profiling
        )
        start = checkpoint or origin
        yield from _resume_at(directory, stored, shards, start, log, ranks, to_end)


def _origin_of(run: TrainRun) -> "Origin | None":
    """The model that a run goes on from, if it does, of which nothing was saved yet."""
    if not run.tuning.origin:
        return None
    from tissu_core.runs.train.origin import open_origin

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


def _resume_at(
    directory: Path,
    stored: StoredRun,
    shards: TokenShards,
    start: "Path | Origin | None",
    log: Log,
    ranks: "Ranks",
    to_end: Callable[..., Iterator[TrainEvent]],
) -> Iterator[TrainEvent]:
    """Go on from a checkpoint, or begin with the model that was named, or with fresh weights."""
    from tissu_core.runs.train.assemble import assemble_new, assemble_saved, assemble_tuned
    from tissu_core.runtime.device import resolve_device

    run, steps = stored.run, stored.steps
    set_up_machine(run)
    device = resolve_device(run.machine.device)
    if isinstance(start, Path):
        yield from map(log, _other_torch(start))
        assembly = assemble_saved(
            run, steps, shards, directory, start, device, seam=stored.seam, ranks=ranks
        )
    else:
        yield log(Noticed(level="warning", text="nothing was saved yet; the run begins at step 0"))
        if start is None:
            config = shape_of(run.model, shards.facts["vocab_size"])
            assembly = assemble_new(run, config, steps, shards, directory, device, ranks)
        else:
            assembly = assemble_tuned(run, steps, start.loaded, shards, directory, device, ranks)
    num_saved = len(assembly.store.steps())
    require_room(directory, assembly.checkpoint_bytes, num_saved)
    state = assembly.state
    yield log(
        RunResumed(
            name=directory.name,
            directory=str(directory),
            from_step=state.step,
            batch_offset=state.batch_offset,
        )
    )
    yield from to_end(assembly=assembly, elapsed_before=state.elapsed_seconds)


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
