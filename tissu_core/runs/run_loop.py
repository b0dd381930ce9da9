"""What new and resumed runs share: the log, the loop to its end, and the stored settings."""

import math
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tissu_core import STARTED
from tissu_core.config.load import build_config, read_toml, to_toml
from tissu_core.config.runs import STORED_FACTS, TrainRun
from tissu_core.errors import InputError
from tissu_core.events import RunFinished, TrainEvent
from tissu_core.runs.run_directory import CONFIG_FILE, MODEL
from tissu_core.storage import sealed_directory, verify, write_text
from tissu_core.tracking.event_log import EventLog

if TYPE_CHECKING:
    from tissu_core.runs.assembly import Assembly
    from tissu_core.training.trainer import Trainer

_STEPS_FIELD, _DATA_FIELD, _DATA_FROM_FIELD = STORED_FACTS

Log = Callable[[TrainEvent], TrainEvent]
"""Writes an event down and gives it back."""


@contextmanager
def logging_to(directory: Path) -> Iterator[Log]:
    """Write events down as they pass."""
    log = EventLog(directory)

    def pass_on(event: TrainEvent) -> TrainEvent:
        log.append(event)
        return event

    try:
        yield pass_on
    finally:
        log.close()


def run_to_end(
    directory: Path,
    assembly: "Assembly",
    stop: threading.Event,
    log: Log,
    elapsed_before: float = 0.0,
) -> Iterator[TrainEvent]:
    """Train, write everything down, and leave a model."""
    began = STARTED if not elapsed_before else time.monotonic()
    trainer = assembly.trainer(lambda: elapsed_before + time.monotonic() - began)
    for event in trainer.run(stop.is_set):
        yield log(event)
    yield log(_finish(directory, assembly, trainer))


def _finish(directory: Path, assembly: "Assembly", trainer: "Trainer") -> RunFinished:
    """Write the run's model, the best of its checkpoints; a stopped run keeps its checkpoints."""
    state, store = trainer.state, assembly.store
    is_stopped = trainer.end_reason == "stopped"
    model_path = store.path_of(state.step)
    if not is_stopped:
        best = store.path_of(state.best_step if state.best_step in store.steps() else state.step)
        model_path = directory / MODEL
        facts = {**verify(best), "kind": "model", "bits_per_byte": state.best_bits_per_byte}
        with sealed_directory(model_path, facts) as temporary:
            for name in ("config.json", "generation_config.json", "model.safetensors"):
                shutil.copyfile(best / name, temporary / name)
            for path in best.glob("tokenizer*"):
                shutil.copyfile(path, temporary / path.name)
    return RunFinished(
        name=directory.name,
        directory=str(directory),
        model_path=str(model_path),
        step=state.step,
        stopped_early=is_stopped,
        reason=trainer.end_reason,
        elapsed_seconds=trainer.parts.clock(),
        loss=_finite(state.loss),
        bits_per_byte=_finite(state.best_bits_per_byte),
    )


def _finite(number: float) -> float | None:
    """A number, or None for one that was never measured."""
    return number if math.isfinite(number) else None


def set_up_machine(run: TrainRun) -> None:
    """Threads, algorithms and memory as the run has them."""
    from tissu_core.runtime.allocator import keep_freed_memory
    from tissu_core.runtime.compiler import require_compiler
    from tissu_core.runtime.device import resolve_device, use_deterministic_cpu

    if run.machine.compile:
        require_compiler()
    assert run.machine.threads
    device = resolve_device(run.machine.device)
    use_deterministic_cpu(device, run.machine.threads)
    if device.type == "cpu":
        keep_freed_memory()


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredRun:
    """What a run's ``config.toml`` holds: all that is needed to run again."""

    run: TrainRun
    """Resolved settings."""
    steps: int
    """Planned; an estimate when the clock ends the run."""
    tokens_key: str
    data_from_step: int = 0
    """Where the data order begins: at the step that first saw the text as it is now."""


def write_config(directory: Path, stored: StoredRun) -> None:
    """Store the resolved settings."""
    facts = (
        f"{_STEPS_FIELD} = {stored.steps}\n{_DATA_FIELD} = '{stored.tokens_key}'\n"
        f"{_DATA_FROM_FIELD} = {stored.data_from_step}\n"
    )
    write_text(directory / CONFIG_FILE, facts + to_toml(stored.run))


def read_config(directory: Path) -> StoredRun:
    """The settings a run was stored with.

    Raises:
        InputError: If the file was not written by a run.
    """
    table = read_toml(directory / CONFIG_FILE)
    try:
        steps, key = int(table.pop(_STEPS_FIELD)), str(table.pop(_DATA_FIELD))
        data_from_step = int(table.pop(_DATA_FROM_FIELD, 0))
    except (KeyError, ValueError) as error:
        raise InputError(
            f"{directory / CONFIG_FILE} lacks {error}", hint="start a new run"
        ) from error
    run = build_config(TrainRun, table)
    return StoredRun(run=run, steps=steps, tokens_key=key, data_from_step=data_from_step)
