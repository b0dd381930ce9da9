"""What a person asks of a run is done, said, and changes none of its numbers."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import pytest
import torch

from tests.core.training.loop import make_parts, make_settings
from tests.core.training.test_trainer import batch, make_trainer, never
from tests.samples import make_config, make_model
from tissu_core.checkpoint.training_state import TrainState
from tissu_core.events.shared import Noticed
from tissu_core.events.training import (
    CheckpointSaved,
    EvalFinished,
    Request,
    RequestTaken,
    SampleGenerated,
    StepFinished,
)
from tissu_core.training import requests
from tissu_core.training.loop_parts import LoopEvent, LoopParts
from tissu_core.training.trainer import Trainer


def asking(*polls: Sequence[Request | Noticed]) -> Iterator[Sequence[Request | Noticed]]:
    """What is asked at each look; nothing any more afterwards."""
    yield from polls
    while True:
        yield ()


def asked(parts: LoopParts, *polls: Sequence[Request | Noticed]) -> LoopParts:
    return replace(parts, requests=asking(*polls).__next__)


def made(parts: LoopParts, **settings: object) -> Trainer:
    return make_trainer(
        make_settings(**{"steps": 8, "log_every": 3, **settings}),
        parts,
    )


def said(events: list[LoopEvent]) -> list[str]:
    return [
        event.request if isinstance(event, RequestTaken) else type(event).__name__
        for event in events
    ]


def numbers(events: list[LoopEvent]) -> list[tuple[float, ...]]:
    return [
        (event.step, event.loss, event.learning_rate, event.grad_norm)
        for event in events
        if isinstance(event, StepFinished)
    ]


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """A pause looks for its end at once; returns the waits."""
    waits: list[float] = []
    monkeypatch.setattr(requests.time, "sleep", waits.append)
    return waits


def test_what_is_asked_is_done_after_the_step_and_said() -> None:
    saved: list[TrainState] = []
    parts = asked(make_parts(batch, saved=saved), ["save"], ["sample", "evaluate"])
    events = list(made(parts, log_every=100).run(never))
    assert said(events)[:7] == [
        *("save", "CheckpointSaved", "sample", "SampleGenerated"),
        *("evaluate", "CheckpointSaved", "EvalFinished"),
    ]
    assert [e.step for e in events if isinstance(e, RequestTaken)] == [1, 2, 2]
    assert [state.step for state in saved] == [1, 2, 8]


def test_a_run_that_was_asked_for_much_is_equal_to_the_bit() -> None:
    plain = made(make_parts(batch, scores=iter([2.0, 1.5])), eval_every=4)
    expected = list(plain.run(never))
    parts = make_parts(batch, scores=iter([9.0, 0.5, 2.0, 0.25, 1.5]))
    busy = made(
        asked(
            parts,
            ["evaluate", "sample"],
            ["save", "evaluate"],
            ["pause"],
            ["resume"],
            [],
            ["evaluate"],
        ),
        eval_every=4,
    )
    events = list(busy.run(never))
    assert numbers(events) == numbers(expected)
    for name, weight in plain.model.state_dict().items():
        assert torch.equal(busy.model.state_dict()[name], weight), name
    assert busy.state.best_step == plain.state.best_step == 8
    assert busy.state.best_bits_per_byte == plain.state.best_bits_per_byte
    assert [e.is_asked for e in events if isinstance(e, EvalFinished)].count(True) == 3


def test_an_evaluation_that_was_asked_for_is_no_lack_of_progress() -> None:
    scores = iter([2.0, *[3.0] * 3, 1.0])  # of step 2, asked for three times, of step 4
    parts = asked(make_parts(batch, scores=scores), [], [], ["evaluate"] * 3)
    trainer = made(parts, eval_every=2, patience=2, steps=4)
    events = list(trainer.run(never))
    assert trainer.end_reason == "finished"
    assert trainer.state.best_step == 4
    scored = [(e.is_asked, e.is_best) for e in events if isinstance(e, EvalFinished)]
    assert scored == [(False, True), *[(True, False)] * 3, (False, True)]


def test_a_pause_lasts_until_it_is_ended(no_waiting: list[float]) -> None:
    parts = asked(make_parts(batch), ["pause"], [], ["save"], [], ["resume"])
    events = list(made(parts, log_every=1).run(never))
    assert said(events)[:5] == ["StepFinished", "pause", "save", "CheckpointSaved", "resume"]
    assert len(no_waiting) == 4
    assert [step for step, *_ in numbers(events)] == list(range(1, 9))


def test_waiting_is_not_slow_training(monkeypatch: pytest.MonkeyPatch) -> None:
    now = iter(range(0, 10_000_000, 1))
    hour = [0.0]
    monkeypatch.setattr(requests.time, "perf_counter", lambda: next(now) + hour[0])

    def wait(seconds: float) -> None:
        hour[0] += 3600.0

    monkeypatch.setattr(requests.time, "sleep", wait)
    parts = asked(make_parts(batch), ["pause"], [], ["resume"])
    events = list(made(parts, log_every=1).run(never))
    speeds = [e.tokens_per_second for e in events if isinstance(e, StepFinished)]
    assert min(speeds) > 1.0


@pytest.mark.parametrize("is_paused", [False, True])
def test_stop_saves_and_ends(is_paused: bool) -> None:
    saved: list[TrainState] = []
    first: list[Request] = ["pause"] if is_paused else []
    parts = asked(make_parts(batch, saved=saved), first, ["stop"])
    trainer = made(parts)
    events = list(trainer.run(never))
    step = 1 if is_paused else 2
    assert trainer.end_reason == "stopped"
    assert [state.step for state in saved] == [step]
    assert isinstance(events[-1], CheckpointSaved)


def test_stop_now_saves_nothing_more() -> None:
    saved: list[TrainState] = []
    trainer = made(asked(make_parts(batch, saved=saved), ["save"], [], ["stop now"]))
    events = list(trainer.run(never))
    assert trainer.end_reason == "stopped now"
    assert trainer.state.step == 3
    assert [state.step for state in saved] == [1]
    assert said(events)[-1] == "stop now"


def test_ctrl_c_ends_a_pause() -> None:
    trainer = made(asked(make_parts(batch), ["pause"]))
    looks = iter([False, False, False])
    list(trainer.run(lambda: next(looks, True)))
    assert trainer.end_reason == "stopped"
    assert trainer.state.step == 1


def test_a_word_on_the_control_file_is_passed_on() -> None:
    word = Noticed(level="warning", text="nonsense")
    events = list(made(asked(make_parts(batch), [word])).run(never))
    assert events[0] == word


def test_a_sample_is_of_a_model_that_does_not_drop() -> None:
    modes: list[bool] = []
    model = make_model(make_config())
    parts = make_parts(batch)

    def sample(step: int) -> SampleGenerated:
        modes.append(model.training)
        return parts.sample(step)

    asked_parts = asked(replace(parts, sample=sample), ["sample"])
    list(make_trainer(make_settings(steps=2), asked_parts, model=model).run(never))
    assert modes == [False, False]
