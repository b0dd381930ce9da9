"""Stopped and resumed equals never stopped, to the bit."""

import json
import threading
from pathlib import Path

import pytest
import torch

from tests.end_to_end.conftest import write_corpus
from tissu_core.checkpoint.training_state import read_training_state
from tissu_core.checkpoint.weights import load_tensors
from tissu_core.config.load import build_config
from tissu_core.config.runs import TrainRun
from tissu_core.events.training import EvalFinished, StepFinished
from tissu_core.models.decoder import Decoder
from tissu_core.runs.follow import read_events, read_facts
from tissu_core.runs.train.resume import resume
from tissu_core.runs.train.train import train
from tissu_core.runtime.seeds import derive_seed
from tissu_core.training.objectives.next_token import LossOutput, next_token


def settings(corpus: Path, name: str, optimizer: str, dropout: float, **shape: object) -> TrainRun:
    return build_config(
        TrainRun,
        {
            "name": name,
            "data": {"corpus": [str(corpus)]},
            "model": {
                "num_hidden_layers": 2,
                "hidden_size": 32,
                "num_attention_heads": 2,
                "context_tokens": 32,
                "vocab_size": 400,
                "dropout": dropout,
                **shape,
            },
            "optimizer": {"name": optimizer},
            "training": {
                "steps": 100,
                "batch_tokens": 128,
                "micro_batch": 2,
                "log_every": 7,
                "eval_every": 30,
                "save_every": 25,
            },
            "machine": {"threads": 1},
        },
    )


def stop_after(step: int, run: TrainRun) -> None:
    """Train, and ask to stop when ``step`` is reported or saved."""
    stop = threading.Event()
    for event in train(run, stop):
        if getattr(event, "step", 0) >= step:
            stop.set()


@pytest.mark.parametrize(
    ("optimizer", "dropout", "at"),
    [
        ("muon", 0.0, 49),
        ("muon", 0.1, 56),
        ("adamw", 0.0, 75),
        ("rmsprop", 0.0, 25),
    ],
)
def test_stopped_and_resumed_is_equal_to_the_bit(
    tmp_path: Path, own_home: Path, optimizer: str, dropout: float, at: int
) -> None:
    corpus = write_corpus(tmp_path / "corpus")
    list(train(settings(corpus, "straight", optimizer, dropout), threading.Event()))
    stop_after(at, settings(corpus, "halved", optimizer, dropout))
    assert 0 < read_facts(own_home / "runs/halved").last_saved_step < 100
    list(resume("halved", threading.Event()))
    assert_equal_to_the_bit(own_home)


def test_a_shape_with_other_layouts_in_its_file_resumes_to_the_bit(
    tmp_path: Path, own_home: Path
) -> None:
    """GPT-2 stores queries, keys and values as one turned matrix."""
    gpt2 = {
        "norm": "layernorm",
        "feed_forward": "gelu_tanh",
        "position_embedding": "learned",
        "use_bias": True,
    }
    corpus = write_corpus(tmp_path / "corpus")
    list(train(settings(corpus, "straight", "adamw", 0.0, **gpt2), threading.Event()))
    stop_after(49, settings(corpus, "halved", "adamw", 0.0, **gpt2))
    list(resume("halved", threading.Event()))
    saved = json.loads((own_home / "runs/halved/model/config.json").read_text("utf-8"))
    assert saved["model_type"] == "gpt2"
    assert_equal_to_the_bit(own_home)


def assert_equal_to_the_bit(own_home: Path) -> None:
    """The runs ``straight`` and ``halved``: weights, moments, and what was said of each step."""
    straight, halved = own_home / "runs/straight", own_home / "runs/halved"
    last = "checkpoints/step-000100"
    weights = load_tensors(straight / last / "model.safetensors")
    resumed = load_tensors(halved / last / "model.safetensors")
    assert all(torch.equal(resumed[name], tensor) for name, tensor in weights.items())
    state, moments = read_training_state(straight / last)
    other_state, other_moments = read_training_state(halved / last)
    assert moments.keys() == other_moments.keys()
    assert all(torch.equal(other_moments[name], tensor) for name, tensor in moments.items())
    assert (state.tokens, state.best_bits_per_byte) == (
        other_state.tokens,
        other_state.best_bits_per_byte,
    )
    assert history(halved) == history(straight)


def test_a_run_that_skipped_and_went_back_is_resumed_to_the_bit(
    tmp_path: Path, own_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad = {derive_seed(1337, "step", number) for number in (10, 33, 34, 35, 36, 37, 70)}

    def objective(model: Decoder, windows: torch.Tensor, **terms: float) -> LossOutput:
        output = next_token(model, windows, **terms)
        factor = float("nan") if torch.initial_seed() in bad else 1.0
        return LossOutput(output.loss_sum * factor, output.num_targets)

    monkeypatch.setattr("tissu_core.runs.train.assembly.next_token", objective)
    corpus = write_corpus(tmp_path / "corpus")
    list(train(settings(corpus, "straight", "muon", 0.0), threading.Event()))
    stop_after(49, settings(corpus, "halved", "muon", 0.0))
    list(resume("halved", threading.Event()))
    assert_equal_to_the_bit(own_home)
    state, _ = read_training_state(own_home / "runs/straight/checkpoints/step-000100")
    assert state.batch_offset == 12, "found at step 42, back to step 30"


def history(run: Path) -> dict[object, object]:
    """What the log says of each step, without what a clock says."""
    facts: dict[object, object] = {}
    for event in read_events(run):
        if isinstance(event, StepFinished):
            facts["step", event.step] = event.loss, event.learning_rate, event.grad_norm
        elif isinstance(event, EvalFinished):
            facts["eval", event.step] = event.loss, event.bits_per_byte, event.is_best
    return facts


def test_a_crash_between_saves_repeats_the_lost_steps_exactly(
    tmp_path: Path, own_home: Path
) -> None:
    """What a kill leaves: a log that runs ahead of the newest checkpoint."""
    corpus = write_corpus(tmp_path / "corpus")
    list(train(settings(corpus, "straight", "muon", 0.0), threading.Event()))
    crashed = train(settings(corpus, "crashed", "muon", 0.0), threading.Event())
    for event in crashed:
        if isinstance(event, StepFinished) and event.step >= 63:
            break
    crashed.close()  # type: ignore[attr-defined]
    list(resume("crashed", threading.Event()))
    assert history(own_home / "runs/crashed") == history(own_home / "runs/straight")
