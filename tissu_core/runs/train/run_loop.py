"""What new and resumed runs share: the log, the machine, and the loop to its end."""

import math
import shutil
import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING

import tissu_core
from tissu_core.config.profiling import NO_PROFILE, ProfileConfig
from tissu_core.config.runs import TrainRun
from tissu_core.events.shared import StageAdvanced
from tissu_core.events.training import RunFinished, StepFinished, TrainEvent
from tissu_core.runs.home import cache_directory
from tissu_core.runs.run_directory import MODEL, PROFILE
from tissu_core.runs.train.histograms import writing_histograms
from tissu_core.runs.train.stored_run import read_run, write_run
from tissu_core.storage import sealed_directory, verify
from tissu_core.tracking.control import Control
from tissu_core.tracking.event_log import EventLog

if TYPE_CHECKING:
    from tissu_core.runs.train.assembly import Assembly
    from tissu_core.training.compiling import CompileTrial
    from tissu_core.training.profiling import StepProfiler
    from tissu_core.training.trainer import Trainer

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
    control: Control,
    elapsed_before: float = 0.0,
    profiling: ProfileConfig = NO_PROFILE,
) -> Iterator[TrainEvent]:
    """Train, write everything down, and leave a model."""
    ranks = assembly.layout.ranks
    began = tissu_core.STARTED if not elapsed_before else time.monotonic()
    trainer = assembly.trainer(
        lambda: elapsed_before + time.monotonic() - began,
        control.poll,
        stop.is_set,
    )
    trial = yield from _compile(directory, assembly, trainer, stop, log)
    if profiling.profile is not None and ranks.is_main:
        trainer.profiler = _profiler(directory, assembly, profiling)
    shares: list[float] = []
    with writing_histograms(directory, assembly, trainer):
        for event in trainer.run(stop.is_set):
            if isinstance(event, StepFinished) and event.mfu is not None:
                shares.append(event.mfu)
            yield log(event)
    if trainer.profiler is not None:
        yield from map(log, trainer.profiler.close())
    if trial is not None and (notice := trial.recompiled()) is not None:
        yield log(notice)
    mfu = fmean(shares) if shares else None
    yield log(ranks.from_main(lambda: _finish(directory, assembly, trainer, mfu)))


def _profiler(directory: Path, assembly: "Assembly", profiling: ProfileConfig) -> "StepProfiler":
    from tissu_core.training.profiling import StepProfiler

    model, optimizer = assembly.model, assembly.optimizer
    return StepProfiler(
        model,
        directory / PROFILE,
        is_memory=profiling.profile == "memory",
        steps=profiling.profile_steps,
        held=lambda: [*model.parameters(), *optimizer.state_tensors().values()],
    )


def _compile(
    directory: Path, assembly: "Assembly", trainer: "Trainer", stop: threading.Event, log: Log
) -> Generator[TrainEvent, None, "CompileTrial | None"]:
    """Compile the model if the run has that; where it has not been chosen, choose and store it."""
    asked = assembly.run.machine.compile
    if asked is False or stop.is_set():
        return None
    from tissu_core.training.compiling import CompileTrial, compile_stack

    if assembly.layout.ranks.are_many:  # where it is chosen by name alone, or they might differ
        compile_stack(assembly.model.model)
        return None
    trial = CompileTrial(trainer)
    for event in trial.run(stop, is_asked=bool(asked)):
        yield event if isinstance(event, StageAdvanced) else log(event)
    if asked is None and trial.is_compiled is not None:
        machine = replace(assembly.run.machine, compile=trial.is_compiled)
        assembly.run = replace(assembly.run, machine=machine)
        stored = read_run(directory)
        write_run(directory, replace(stored, run=replace(stored.run, machine=machine)))
    return trial if trial.is_compiled else None


def _finish(
    directory: Path, assembly: "Assembly", trainer: "Trainer", mfu: float | None
) -> RunFinished:
    """Write the run's model, the best of its checkpoints; a stopped run keeps its checkpoints."""
    state, store = trainer.state, assembly.store
    is_stopped = trainer.end_reason in ("stopped", "stopped now")
    saved = store.steps()
    model_path = store.path_of(saved[-1]) if saved else directory
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
        mfu=mfu,
    )


def _finite(number: float) -> float | None:
    """A number, or None for one that was never measured."""
    return number if math.isfinite(number) else None


def set_up_machine(run: TrainRun) -> None:
    """Threads, algorithms and memory as the run has them."""
    from tissu_core.runtime.allocator import keep_freed_memory
    from tissu_core.runtime.compiler import keep_compiled_code, require_compiler
    from tissu_core.runtime.device import resolve_device, use_deterministic_cpu

    if run.machine.compile:
        require_compiler()
    if run.machine.compile is not False:
        keep_compiled_code(cache_directory() / "compiled")
    assert run.machine.threads
    device = resolve_device(run.machine.device)
    use_deterministic_cpu(device, run.machine.threads)
    if device.type == "cpu":
        keep_freed_memory()
