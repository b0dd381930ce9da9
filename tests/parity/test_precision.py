"""Half the bits learn as much, and are resumed as exactly."""

import threading
from dataclasses import replace
from pathlib import Path

import pytest

from tests.end_to_end.conftest import write_corpus
from tests.parity.test_resume import assert_equal_to_the_bit, settings, stop_after
from tissu_core.checkpoint.training_state import read_training_state
from tissu_core.config.runs import TrainRun
from tissu_core.events.training import EvalFinished
from tissu_core.runs.train.resume import resume
from tissu_core.runs.train.train import train


def in_precision(run: TrainRun, precision: str) -> TrainRun:
    return replace(run, machine=replace(run.machine, precision=precision))


def final_loss(run: TrainRun) -> float:
    run = replace(run, training=replace(run.training, steps=70, eval_every=70, save_every=70))
    found = [e.loss for e in train(run, threading.Event()) if isinstance(e, EvalFinished)]
    return found[-1]


@pytest.mark.parametrize("optimizer", ["muon", "adamw"])
def test_the_validation_loss_is_that_of_fp32_within_two_percent(
    tmp_path: Path, optimizer: str
) -> None:
    corpus = write_corpus(tmp_path / "corpus")
    losses = {
        precision: final_loss(in_precision(settings(corpus, precision, optimizer, 0.0), precision))
        for precision in ("fp32", "bf16", "fp16")
    }
    assert losses["fp32"] < 3, "it has learned something"
    assert len({*losses.values()}) == 3, "each computes in its own numbers"
    for loss in losses.values():
        assert loss == pytest.approx(losses["fp32"], rel=0.02)


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_stopped_and_resumed_is_equal_to_the_bit(
    tmp_path: Path, own_home: Path, precision: str
) -> None:
    corpus = write_corpus(tmp_path / "corpus")
    straight, halved = (
        in_precision(settings(corpus, name, "adamw", 0.1), precision)
        for name in ("straight", "halved")
    )
    list(train(straight, threading.Event()))
    stop_after(49, halved)
    list(resume("halved", threading.Event()))
    assert_equal_to_the_bit(own_home)
    last = "checkpoints/step-000100"
    states = [read_training_state(own_home / "runs" / r / last)[0] for r in ("straight", "halved")]
    assert states[0].loss_scale == states[1].loss_scale
    assert states[0].loss_scale_good_steps == states[1].loss_scale_good_steps
    assert (states[0].loss_scale > 0) == (precision == "fp16")
