"""A run whose batch grows: resumed in the middle of the ramp equals straight, to the bit."""

import threading
from dataclasses import replace
from pathlib import Path

import pytest

from tests.end_to_end.conftest import write_corpus
from tests.parity.test_resume import assert_equal_to_the_bit, settings, stop_after
from tissu_core.checkpoint.training_state import read_training_state
from tissu_core.config.runs import TrainRun
from tissu_core.data.batches import BatchOrder
from tissu_core.errors import ConfigError
from tissu_core.events.training import StepFinished
from tissu_core.runs.follow import read_events, read_facts
from tissu_core.runs.train.resume import resume
from tissu_core.runs.train.train import train


def ramped(corpus: Path, name: str, ramp: str = "2:6:80") -> TrainRun:
    run = settings(corpus, name, "adamw", 0.1)
    training = replace(run.training, batch_tokens=None, batch_ramp=ramp, micro_batch=4)
    return replace(run, training=training)


def tokens(run: Path) -> dict[int, int]:
    return {e.step: e.tokens for e in read_events(run) if isinstance(e, StepFinished)}


def test_resumed_within_the_ramp_is_equal_to_the_bit(tmp_path: Path, own_home: Path) -> None:
    corpus = write_corpus(tmp_path / "corpus")
    list(train(ramped(corpus, "straight"), threading.Event()))
    stop_after(49, ramped(corpus, "halved"))
    list(resume("halved", threading.Event()))
    assert_equal_to_the_bit(own_home)
    read = tokens(own_home / "runs/straight")
    assert read == tokens(own_home / "runs/halved")
    assert read[7] == 7 * 2 * 32
    assert read[98] - read[91] == 7 * 6 * 32


def test_another_ramp_goes_on_with_the_next_windows(
    tmp_path: Path, own_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    numbers: list[int] = []
    corpus = write_corpus(tmp_path / "corpus")
    stop_after(49, ramped(corpus, "r"))
    newest = read_facts(own_home / "runs/r").last_saved_step
    state, _ = read_training_state(own_home / f"runs/r/checkpoints/step-{newest:06}")
    first = state.tokens // 32
    window = BatchOrder.window

    def noted(order: BatchOrder, number: int) -> object:
        numbers.append(number)
        return window(order, number)

    monkeypatch.setattr(BatchOrder, "window", noted)

    def turned(run: TrainRun, **changes: object) -> TrainRun:
        return replace(run, training=replace(run.training, **changes))  # type: ignore[arg-type]

    steeper = {"batch_ramp": "2:10:60", "steps": 70}
    list(resume("r", threading.Event(), settle=lambda r: turned(r, **steeper), is_override=True))
    assert numbers[0] == first
    assert numbers == [*range(first, first + len(numbers))]
    with pytest.raises(ConfigError, match="batch-ramp"):
        list(
            resume(
                "r",
                threading.Event(),
                settle=lambda r: turned(r, batch_tokens=64),
                is_override=True,
            )
        )
