"""Runs that average their weights: resumed equals straight, and what is kept is the average."""

import shutil
import threading
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tests.end_to_end.conftest import write_corpus
from tests.parity.test_resume import assert_equal_to_the_bit, history, settings, stop_after
from tissu_core.checkpoint.training_state import RAW_FILE, read_training_state
from tissu_core.checkpoint.weights import load_tensors
from tissu_core.config.runs import TrainRun
from tissu_core.models.decoder import Decoder
from tissu_core.runs.train.resume import resume
from tissu_core.runs.train.train import train
from tissu_core.runtime.seeds import derive_seed
from tissu_core.training.objectives.next_token import LossOutput, next_token

LAST = "checkpoints/step-000100"


def averaged(corpus: Path, name: str, decay: float = 0.98, **shape: object) -> TrainRun:
    run = settings(corpus, name, "muon", 0.1, **shape)
    return replace(run, optimizer=replace(run.optimizer, ema_decay=decay))


def weights(run: Path, file: str = f"{LAST}/model.safetensors") -> dict[str, torch.Tensor]:
    return load_tensors(run / file)


def test_resumed_is_equal_to_the_bit_and_steps_are_those_without_it(
    tmp_path: Path, own_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With embeddings that are the head, a step that is left out, and one way back."""
    bad = {derive_seed(1337, "step", number) for number in (10, 33, 34, 35, 36, 37)}

    def objective(model: Decoder, windows: torch.Tensor, **terms: float) -> LossOutput:
        output = next_token(model, windows, **terms)
        factor = float("nan") if torch.initial_seed() in bad else 1.0
        return LossOutput(output.loss_sum * factor, output.num_targets)

    monkeypatch.setattr("tissu_core.runs.train.assembly.next_token", objective)
    corpus = write_corpus(tmp_path / "corpus")
    shape = {"tie_word_embeddings": True}
    list(train(averaged(corpus, "straight", **shape), threading.Event()))
    stop_after(49, averaged(corpus, "halved", **shape))
    list(resume("halved", threading.Event()))
    assert_equal_to_the_bit(own_home)
    straight, halved, plain = (own_home / "runs" / name for name in ("straight", "halved", "plain"))
    list(train(averaged(corpus, "plain", decay=0.0, **shape), threading.Event()))
    assert read_training_state(straight / LAST)[0].batch_offset == 12, "it went back once"
    raw = weights(straight, f"{LAST}/{RAW_FILE}")
    found = {"resumed": weights(halved, f"{LAST}/{RAW_FILE}"), "plain": weights(plain)}
    for name, tensor in raw.items():
        assert torch.equal(tensor, found["resumed"][name])
        assert torch.equal(tensor, found["plain"][name])
    assert not (plain / LAST / RAW_FILE).exists()
    model = weights(straight)
    assert any(not torch.equal(model[name], tensor) for name, tensor in raw.items())


def test_the_finished_model_is_the_average_of_the_best_step_and_scores_as_it_did(
    tmp_path: Path, own_home: Path
) -> None:
    corpus = write_corpus(tmp_path / "corpus")
    events = list(train(averaged(corpus, "r"), threading.Event()))
    scores = {e.step: e.bits_per_byte for e in events if type(e).__name__ == "EvalFinished"}
    best = min(scores, key=scores.__getitem__)
    run = own_home / "runs/r"
    kept = weights(run, f"checkpoints/step-{best:06}/model.safetensors")
    model = weights(run, "model/model.safetensors")
    assert all(torch.equal(kept[name], tensor) for name, tensor in model.items())
    plain = list(train(averaged(corpus, "plain", decay=0.0), threading.Event()))
    steps = [[e.loss for e in run if type(e).__name__ == "StepFinished"] for run in (events, plain)]
    assert steps[0] == steps[1], "what is averaged does not change a step"
    assert scores != {e.step: e.bits_per_byte for e in plain if type(e).__name__ == "EvalFinished"}


def test_a_run_may_begin_to_average_and_cease_to(tmp_path: Path, own_home: Path) -> None:
    corpus = write_corpus(tmp_path / "corpus")
    list(train(averaged(corpus, "plain", decay=0.0), threading.Event()))
    stop_after(30, averaged(corpus, "turned", decay=0.0))

    def turn(run: TrainRun, decay: float) -> TrainRun:
        return replace(run, optimizer=replace(run.optimizer, ema_decay=decay))

    list(resume("turned", threading.Event(), settle=lambda r: turn(r, 0.9), is_override=True))
    run = own_home / "runs/turned"
    for name, tensor in weights(run, f"{LAST}/{RAW_FILE}").items():
        assert torch.equal(tensor, weights(own_home / "runs/plain")[name])
    shutil.rmtree(run / LAST)
    list(resume("turned", threading.Event(), settle=lambda r: turn(r, 0.0), is_override=True))
    for name, tensor in weights(run).items():
        assert torch.equal(tensor, weights(own_home / "runs/plain")[name])
    assert {key: value for key, value in history(run).items() if key[0] == "step"} == {  # type: ignore[index]
        key: value
        for key, value in history(own_home / "runs/plain").items()
        if key[0] == "step"  # type: ignore[index]
    }
