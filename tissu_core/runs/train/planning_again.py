"""What follows for a run that goes on from other settings, or with another text."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from tissu_core.config.runs import TrainRun
from tissu_core.config.training import TrainingConfig
from tissu_core.data.batch_sizes import batch_sizes
from tissu_core.data.shards import TokenShards
from tissu_core.events.training import Planned
from tissu_core.runs.train.planning import plan_run
from tissu_core.runs.train.stored_run import DataSeam, StoredRun
from tissu_core.storage import read_manifest

if TYPE_CHECKING:
    from tissu_core.runs.train.origin import Origin


def plan_again(
    stored: StoredRun,
    run: TrainRun,
    shards: TokenShards,
    checkpoint: Path | None,
    origin: "Origin | None",
    num_ranks: int,
) -> tuple[StoredRun, Planned]:
    """What follows from changed settings or a changed text, which all is said and stored."""
    from tissu_core.runs.loading import read_model_config

    run = _with_batch_of_ramp(stored.run, run)
    given = origin.loaded.model.config if origin else None
    if run.tuning.origin and checkpoint is not None:
        given = read_model_config(checkpoint)
    plan, planned = plan_run(run, shards, given, num_ranks)
    step = read_manifest(checkpoint)["step"] if checkpoint is not None else 0
    key, seam = shards.directory.name, stored.seam
    if key != stored.tokens_key:
        seam = DataSeam(text_from_step=step, step=step)
    elif _batch(run.training) != _batch(stored.run.training):
        assert run.model.context_tokens
        sizes = batch_sizes(stored.run.training, run.model.context_tokens)
        window = max(0, seam.window + sizes.before(step) - sizes.before(seam.step))
        seam = replace(seam, step=step, window=window)
    return StoredRun(run=plan.run, steps=plan.steps, tokens_key=key, seam=seam), planned


def _batch(training: TrainingConfig) -> tuple[int | None, str]:
    return training.batch_tokens, training.batch_ramp


def _with_batch_of_ramp(stored: TrainRun, run: TrainRun) -> TrainRun:
    """The run without the old batch, where a new ramp says what it is."""
    before, after = stored.training, run.training
    is_new = after.batch_ramp not in ("", before.batch_ramp)
    if is_new and after.batch_tokens == before.batch_tokens:
        return replace(run, training=replace(after, batch_tokens=None))
    return run
