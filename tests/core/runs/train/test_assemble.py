from pathlib import Path

import pytest
import torch

from tests.samples import CPU, make_config, random_ids
from tissu_core.checkpoint.model_directory import load_model
from tissu_core.checkpoint.training_state import read_training_state
from tissu_core.config.data import DataConfig
from tissu_core.config.machine import MachineConfig
from tissu_core.config.optimizer import OptimizerConfig
from tissu_core.config.runs import TrainRun
from tissu_core.config.training import TrainingConfig
from tissu_core.data.shards import TokenShards
from tissu_core.models.score import Score
from tissu_core.runs.train.assemble import assemble_new, assemble_saved
from tissu_core.runs.train.assembly import Assembly
from tissu_core.storage import is_sealed, verify
from tissu_core.training.objectives.next_token import next_token

CONTEXT = 16


def make_run(**changes: object) -> TrainRun:
    training = {
        "steps": 4,
        "batch_tokens": 2 * CONTEXT,
        "micro_batch": 2,
        "eval_every": 2,
        "eval_tokens": 10_000,
        "save_every": 2,
        "log_every": 1,
    } | changes
    return TrainRun(
        data=DataConfig(validation_fraction=0.2),
        optimizer=OptimizerConfig(name="muon", learning_rate=0.01, weight_decay=0.1),
        training=TrainingConfig(**training),  # type: ignore[arg-type]
        machine=MachineConfig(device="cpu", precision="fp32", threads=1),
    )


def new(shards: TokenShards, directory: Path, **changes: object) -> Assembly:
    config = make_config(max_position_embeddings=CONTEXT, vocab_size=shards.facts["vocab_size"])
    return assemble_new(make_run(**changes), config, 4, shards, directory, CPU)


def score(assembly: Assembly) -> Score:
    *_, found = assembly.evaluate()
    assert isinstance(found, Score)
    return found


def moved(assembly: Assembly) -> Assembly:
    """The same after one step of the optimizer."""
    windows = random_ids(1, CONTEXT + 1, vocab_size=assembly.model.config.vocab_size)
    next_token(assembly.model, windows).loss_sum.backward()
    assembly.optimizer.step(1.0)
    return assembly


def save(assembly: Assembly, step: int, bits_per_byte: float) -> None:
    """A checkpoint of a step, and then its score, as the loop does it."""
    assembly.state.step = step
    assembly.save(assembly.state)
    assembly.state.best_step, assembly.state.best_bits_per_byte = step, bits_per_byte
    assembly.mark_best(step)


def resume(assembly: Assembly, step: int, directory: Path) -> Assembly:
    path = assembly.store.path_of(step)
    return assemble_saved(assembly.run, 4, assembly.shards, directory, path, CPU)


def test_a_run_trains_scores_saves_and_samples(shards: TokenShards, tmp_path: Path) -> None:
    assembly = new(shards, tmp_path / "run")
    events = list(assembly.trainer(lambda: 0.0).run(lambda: False))
    names = [type(event).__name__ for event in events]
    assert names.count("StepFinished") == 4
    assert names.count("EvalFinished") == names.count("SampleGenerated") == 2
    assert assembly.store.steps() == [2, 4]
    assert assembly.store.pointed("best") == assembly.state.best_step
    manifest = verify(assembly.store.path_of(4))
    assert (manifest["kind"], manifest["step"]) == ("checkpoint", 4)
    assert load_model(assembly.store.path_of(4), CPU).model.config == assembly.model.config
    assert read_training_state(assembly.store.path_of(4))[0].step == 4


@pytest.mark.parametrize("micro_batch", [1, 3])
def test_the_validation_score_does_not_depend_on_the_micro_batch(
    shards: TokenShards, tmp_path: Path, micro_batch: int
) -> None:
    whole = score(new(shards, tmp_path / "a", micro_batch=64))
    parts = score(new(shards, tmp_path / "b", micro_batch=micro_batch))
    assert parts.nll == pytest.approx(whole.nll, rel=1e-6)
    assert (parts.num_tokens, parts.num_bytes) == (whole.num_tokens, whole.num_bytes)
    assert whole.num_tokens > 50


def test_a_run_stopped_before_its_first_step_can_be_resumed(
    shards: TokenShards, tmp_path: Path
) -> None:
    assembly = new(shards, tmp_path / "run")
    list(assembly.trainer(lambda: 0.0).run(lambda: True))
    assert assembly.store.steps() == [0]
    resumed = resume(assembly, 0, tmp_path / "run")
    list(resumed.trainer(lambda: 0.0).run(lambda: False))
    straight = new(shards, tmp_path / "straight")
    list(straight.trainer(lambda: 0.0).run(lambda: False))
    for name, tensor in straight.model.state_dict().items():
        assert torch.equal(tensor, resumed.model.state_dict()[name]), name


def test_a_score_that_came_after_the_checkpoint_is_known_on_resume(
    shards: TokenShards, tmp_path: Path
) -> None:
    assembly = moved(new(shards, tmp_path / "run"))
    save(assembly, 2, 2.5)
    state = resume(assembly, 2, tmp_path / "run").state
    assert (state.step, state.best_step, state.best_bits_per_byte) == (2, 2, 2.5)


def test_after_a_fallback_the_best_is_one_that_is_still_there(
    shards: TokenShards, tmp_path: Path
) -> None:
    assembly = moved(new(shards, tmp_path / "run"))
    save(assembly, 1, 2.5)
    save(assembly, 2, 2.4)
    save(assembly, 3, 2.3)  # so 1, which the state of 2 calls the best, is gone
    damaged = assembly.store.path_of(3) / "model.safetensors"
    damaged.write_bytes(b"damaged")
    good = assembly.store.newest_verified(is_fallback_allowed=True)
    assert good == assembly.store.path_of(2)
    state = resume(assembly, 2, tmp_path / "run").state
    assert state.best_step == 0 or is_sealed(assembly.store.path_of(state.best_step))
