"""Where the histograms of a run are written: ``hist.jsonl``, beside its log."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from tissu_core.config.runs import TrainRun
from tissu_core.errors import ConfigError
from tissu_core.events.histograms import HistogramsTaken
from tissu_core.events.training import RunResumed
from tissu_core.tracking.event_log import EventLog

if TYPE_CHECKING:
    from tissu_core.runs.train.assembly import Assembly
    from tissu_core.training.trainer import Trainer

HISTOGRAMS_FILE = "hist.jsonl"


def refuse_cut_tensors(run: TrainRun, num_ranks: int) -> None:
    """Refuse histograms of tensors of which no process has all.

    Raises:
        ConfigError: If the run has that.
    """
    machine = run.machine
    is_cut = num_ranks > 1 and (machine.shard in ("grad", "full") or machine.num_parts > 1)
    if run.training.hist_every and is_cut:
        raise ConfigError(
            "--hist-every looks at whole tensors, and here each process has a part of them",
            field="hist_every",
            hint="without it, or without --shard grad, --shard full, --tp and --pp",
        )


@contextmanager
def writing_histograms(directory: Path, assembly: "Assembly", trainer: "Trainer") -> Iterator[None]:
    """Let the main rank's trainer write histograms of every so many steps, if the run has that."""
    every = assembly.run.training.hist_every
    if not (every and assembly.layout.ranks.is_main):
        yield
        return
    from tissu_core.training.histograms import StepHistograms

    log = EventLog(directory, HISTOGRAMS_FILE)
    last = 0

    def go_on_from(step: int) -> None:
        log.append(RunResumed(name=directory.name, directory=str(directory), from_step=step))

    def write(taken: HistogramsTaken) -> None:
        nonlocal last
        if taken.step <= last:  # the run went back to a checkpoint
            go_on_from(taken.step - 1)
        last = taken.step
        log.append(taken)

    go_on_from(trainer.state.step)

    looking = StepHistograms(
        assembly.model,
        every,
        trainer.settings.precision,
        trainer.settings.micro_batch,
        write,
    )
    trainer.parts = replace(trainer.parts, before_update=looking.look)
    try:
        yield
    finally:
        log.close()
