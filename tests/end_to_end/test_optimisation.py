"""Optimizers, schedules, and steps that go wrong, through the real command."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from tests.end_to_end.conftest import FAST, Result, Tissu
from tissu_core.checkpoint.training_state import read_training_state
from tissu_core.checkpoint.weights import load_tensors
from tissu_core.models.decoder import Decoder
from tissu_core.runs.follow import read_events
from tissu_core.runtime.seeds import derive_seed
from tissu_core.training.objectives.next_token import LossOutput, next_token

Objective = Callable[..., LossOutput]
SMALL = ["--name", "r", "--seed", "1", *FAST]


@pytest.fixture
def objective(monkeypatch: pytest.MonkeyPatch) -> Callable[[Objective], None]:
    """Replaces what a run learns."""
    return lambda found: monkeypatch.setattr("tissu_core.runs.train.assembly.next_token", found)


def bad_batches(numbers: range | set[int]) -> Objective:
    """No number on some batches, which the seed of their step tells."""
    seeds = {derive_seed(1, "step", number) for number in numbers}

    def found(model: Decoder, windows: torch.Tensor, **terms: float) -> LossOutput:
        output = next_token(model, windows, **terms)
        factor = float("nan") if torch.initial_seed() in seeds else 1.0
        return LossOutput(output.loss_sum * factor, output.num_targets)

    return found


def checkpoint(tissu: Tissu, step: int) -> Path:
    return tissu.home / "runs" / "r" / "checkpoints" / f"step-{step:06}"


def is_finite(directory: Path) -> bool:
    tensors = [load_tensors(path) for path in directory.glob("*.safetensors")]
    assert len(tensors) == 2
    return all(bool(t.isfinite().all()) for found in tensors for t in found.values())


@pytest.mark.parametrize("optimizer", ["adam", "rmsprop", "sgd"])
def test_every_optimizer_learns(tissu: Tissu, corpus: Path, optimizer: str) -> None:
    options = ["--optimizer", optimizer, "--schedule", "wsd", "--set", "training.log_every=1"]
    result = tissu("train", corpus, "--steps", "40", *options, *SMALL)
    assert result.code == 0, result.err
    steps = [
        event for event in read_events(tissu.home / "runs" / "r") if hasattr(event, "grad_norm")
    ]
    assert steps[-1].loss < steps[0].loss - 0.5


def test_a_bad_batch_is_left_out_and_the_run_ends_well(
    tissu: Tissu, corpus: Path, objective: Callable[[Objective], None]
) -> None:
    objective(bad_batches({3, 7, 8, 9}))
    result = tissu("train", corpus, "--steps", "12", "--eval-every", "6", *SMALL)
    assert result.code == 0, result.err
    assert "left out" in result.err
    assert is_finite(checkpoint(tissu, 12))


def diverging(tissu: Tissu, corpus: Path) -> Result:
    options = ["--steps", "20", "--eval-every", "5", "--set", "training.log_every=1"]
    return tissu("train", corpus, *options, *SMALL)


def test_bad_text_is_passed_by_one_rollback(
    tissu: Tissu, corpus: Path, objective: Callable[[Objective], None]
) -> None:
    objective(bad_batches(range(7, 11)))
    result = diverging(tissu, corpus)
    assert result.code == 0, result.err
    assert "went back to step 10" in result.err
    state, _ = read_training_state(checkpoint(tissu, 20))
    assert state.batch_offset == 1
    assert is_finite(checkpoint(tissu, 20))


def test_a_run_that_diverges_for_good_ends_with_8_and_keeps_finite_weights(
    tissu: Tissu, corpus: Path, objective: Callable[[Objective], None]
) -> None:
    objective(bad_batches(range(7, 99)))
    result = diverging(tissu, corpus)
    assert result.code == 8
    assert "learning rate of 0.0" in result.error[0]
    assert str(corpus / "text-") in result.error[0]
    assert "went back to step" in result.err
    left = sorted((tissu.home / "runs" / "r" / "checkpoints").glob("step-*"))
    assert left
    assert all(map(is_finite, left))


def test_memory_that_runs_out_halves_the_micro_batch_and_a_resume_begins_with_it(
    tissu: Tissu, corpus: Path, objective: Callable[[Objective], None]
) -> None:
    sizes: list[int] = []

    def tight(model: Decoder, windows: torch.Tensor, **terms: float) -> LossOutput:
        sizes.append(len(windows))
        if len(windows) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return next_token(model, windows, **terms)

    objective(tight)
    options = ["--steps", "6", "--save-every", "3", "--eval-every", "6"]
    result = tissu("train", corpus, *options, *SMALL)
    assert result.code == 0, result.err
    assert result.err.count("did not suffice") == 1
    assert sizes == [8, 4] + [2] * 24
    states = [read_training_state(checkpoint(tissu, step))[0] for step in (3, 6)]
    assert [state.micro_batch for state in states] == [2, 2]

    halved = load_tensors(checkpoint(tissu, 6) / "model.safetensors")
    sizes.clear()
    for file in checkpoint(tissu, 6).iterdir():
        file.unlink()
    assert tissu("train", "--resume", "r").code == 0
    assert sizes == [2] * 12
    resumed = load_tensors(checkpoint(tissu, 6) / "model.safetensors")
    assert all(torch.equal(tensor, resumed[key]) for key, tensor in halved.items())

    objective(next_token)
    parts = ["--grad-accum", "4", "--name", "small"]
    assert tissu("train", corpus, *options, *SMALL, *parts).code == 0
    small = load_tensors(tissu.home / "runs/small/checkpoints/step-000006/model.safetensors")
    assert all(torch.equal(tensor, small[key]) for key, tensor in halved.items())


def test_memory_that_runs_out_late_halves_the_micro_batch_from_there(
    tissu: Tissu, corpus: Path, objective: Callable[[Objective], None]
) -> None:
    """Another program takes its share in the middle of a run: the step is done again."""
    sizes: list[int] = []

    def tight(model: Decoder, windows: torch.Tensor, **terms: float) -> LossOutput:
        sizes.append(len(windows))
        if len(sizes) > 10 and len(windows) > 4:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return next_token(model, windows, **terms)

    objective(tight)
    result = tissu("train", corpus, "--steps", "12", *SMALL)
    assert result.code == 0, result.err
    assert result.err.count("did not suffice") == 1
    assert sizes == [8] * 11 + [4] * 4
    state, _ = read_training_state(checkpoint(tissu, 12))
    assert (state.micro_batch, state.tokens) == (4, 12 * 256)


def test_no_memory_for_one_sequence(
    tissu: Tissu, corpus: Path, objective: Callable[[Objective], None]
) -> None:
    def full(model: Decoder, windows: torch.Tensor, **terms: float) -> LossOutput:
        raise RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 9 bytes")

    objective(full)
    result = tissu("train", corpus, "--steps", "2", *SMALL)
    assert result.code == 4
    assert "GB free" in result.error[0]
    assert "--depth" in result.error[2] or "--context" in result.error[2]


def test_a_model_larger_than_the_memory_is_refused_before_it_is_made(
    tissu: Tissu, corpus: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tissu_core.runtime.memory.free_bytes", lambda device: 6.1e9)
    result = tissu("train", corpus, "--depth", "24", "--vocab-size", "320")
    assert result.code == 4
    assert "6.1 GB free" in result.error[0]
    assert "--depth" in result.error[2]
    assert not (tissu.home / "runs").exists()


@pytest.mark.parametrize(
    ("options", "field"),
    [
        (["--set", "training.grad_accum=2", "--set", "training.micro_batch=4"], "--grad-accum"),
        (["--grad-accum", "999", *FAST], "--grad-accum"),
        (["--milestones", "75%,50%"], "--milestones"),
        (["--schedule", "cosin"], "--schedule"),
        (["--gamma", "0"], "--gamma"),
        (["--decay-fraction", "0"], "--decay-fraction"),
        (["--label-smoothing", "2"], "--label-smoothing"),
        (["--z-loss", "-1"], "--z-loss"),
        (["--clip-value", "-1"], "--clip-value"),
    ],
)
def test_settings_that_cannot_be(
    tissu: Tissu, corpus: Path, options: list[str], field: str
) -> None:
    result = tissu("train", corpus, *options)
    assert result.code == 2, result.err
    assert field in " ".join(result.error)
    assert not (tissu.home / "runs").exists()


def test_the_terms_of_the_objective_are_in_the_training_loss_alone(
    tissu: Tissu, corpus: Path
) -> None:
    def losses(*options: str) -> tuple[float, float]:
        """Of training and of validation, before anything was learned."""
        name = f"r{len(options)}"
        rate = ["--steps", "1", "--lr", "1e-9", "--name", name]
        assert tissu("train", corpus, *SMALL, *rate, *options).code == 0
        events = read_events(tissu.home / "runs" / name)
        found = [
            event.loss
            for event in events
            if type(event).__name__ != "RunFinished" and hasattr(event, "loss")
        ]
        return found[0], found[1]

    plain, smooth = losses(), losses("--label-smoothing", "0.1", "--z-loss", "0.01")
    assert smooth[0] > plain[0] + 0.1
    assert smooth[1] == pytest.approx(plain[1], rel=1e-4)


@pytest.mark.parametrize("schedule", ["cosine", "wsd", "linear", "step", "constant"])
def test_inspect_schedule_draws_and_prints(tissu: Tissu, schedule: str) -> None:
    options = ["--schedule", schedule, "--warmup", "10", "--lr", "0.5", "--steps", "40"]
    result = tissu("inspect", "schedule", *options)
    assert result.code == 0, result.err
    lines = result.out.splitlines()
    assert max(map(len, lines)) <= 100
    assert any("\u2801" <= char <= "\u28ff" for char in result.out)
    steps = tissu("inspect", "schedule", *options, "--json").json["steps"]
    assert [step["step"] for step in steps] == list(range(40))
    assert steps[10] == {"step": 10, "factor": 1.0, "learning_rate": 0.5}


def test_inspect_schedule_says_what_a_run_does(tissu: Tissu, corpus: Path) -> None:
    options = ["--schedule", "wsd", "--warmup", "25%", "--final-lr", "0.1", "--steps", "12"]
    every = ["--set", "training.log_every=1"]
    assert tissu("train", corpus, *options, *every, *SMALL).code == 0
    events = read_events(tissu.home / "runs" / "r")
    rates = [event.learning_rate for event in events if hasattr(event, "grad_norm")]
    shown = tissu("inspect", "schedule", *options, "--json").json["steps"]
    assert rates == pytest.approx([step["learning_rate"] for step in shown])


def test_a_long_schedule_is_thinned_with_both_ends(tissu: Tissu) -> None:
    steps = tissu("inspect", "schedule", "--steps", "1000000", "--json").json["steps"]
    assert len(steps) == 1000
    assert (steps[0]["step"], steps[-1]["step"]) == (0, 999_999)
