from collections.abc import Callable

import pytest
import torch

from tests.core.training.loop import make_parts, make_settings
from tests.samples import make_config, make_model, random_ids
from tissu_core.checkpoint.training_state import TrainState
from tissu_core.errors import DivergedError
from tissu_core.events.shared import Noticed
from tissu_core.events.training import RunResumed, StepFinished
from tissu_core.models.decoder import Decoder
from tissu_core.training.objectives.next_token import LossOutput, next_token
from tissu_core.training.optim import build_optimizer
from tissu_core.training.trainer import LoopParts, Trainer

Objective = Callable[[Decoder, torch.Tensor], LossOutput]


def bad_at(steps: set[int], value: float = float("nan")) -> Objective:
    """An objective that is ``value`` in these of its calls."""
    calls = iter(range(1000))

    def objective(model: Decoder, windows: torch.Tensor) -> LossOutput:
        output = next_token(model, windows)
        return LossOutput(output.loss_sum * (value if next(calls) in steps else 1.0), 32)

    return objective


def batch(number: int) -> torch.Tensor:
    return random_ids(4, 9, seed=number)


def make_trainer(parts: LoopParts, name: str = "muon", **settings: object) -> Trainer:
    model = make_model(make_config())
    optimizer = build_optimizer(model, name=name, learning_rate=0.02, weight_decay=0.1, width=32)
    return Trainer(model, optimizer, make_settings(**settings), parts, TrainState())


def notices(events: list[object]) -> list[str]:
    return [event.text for event in events if isinstance(event, Noticed)]


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("due", ["log_every", "save_every", "eval_every"])
def test_a_bad_step_is_left_out_said_and_not_in_the_mean(value: float, due: str) -> None:
    saved: list[TrainState] = []
    parts = make_parts(batch, objective=bad_at({2}, value), saved=saved)
    trainer = make_trainer(parts, steps=8, **{due: 4})
    events = list(trainer.run(lambda: False))
    assert notices(events) == [
        "1 of the steps up to 4 was left out: the loss or its gradient was no number"
    ]
    steps = [event for event in events if isinstance(event, StepFinished)]
    assert all(3 < event.loss < 9 and 0 < event.grad_norm < 99 for event in steps)
    assert trainer.state.step == 8
    assert saved
    assert all(p.isfinite().all() for p in trainer.model.parameters())


@pytest.mark.parametrize("name", ["muon", "adamw", "sgd"])
def test_a_run_with_a_bad_step_is_one_without_that_step(name: str) -> None:
    """Skipping is exact: the steps around it end where they would have without it."""
    skipping = make_trainer(make_parts(batch, objective=bad_at({3})), name, steps=6)
    list(skipping.run(lambda: False))
    numbers = [0, 1, 2, 4, 5]
    plain = make_trainer(make_parts(lambda step: batch(numbers[step])), name, steps=5)
    list(plain.run(lambda: False))
    for key, tensor in plain.model.state_dict().items():
        assert torch.equal(tensor, skipping.model.state_dict()[key]), key
    assert skipping.state.loss == pytest.approx(plain.state.loss)


def test_an_infinite_gradient_is_bad_even_where_its_elements_are_clipped() -> None:
    calls = iter(range(1000))

    def objective(model: Decoder, windows: torch.Tensor) -> LossOutput:
        output = next_token(model, windows)
        if next(calls) == 1:
            model.lm_head.weight.register_post_accumulate_grad_hook(overflow)
        return output

    def overflow(parameter: torch.Tensor) -> None:
        assert parameter.grad is not None
        parameter.grad[0, 0] = float("inf")

    trainer = make_trainer(make_parts(batch, objective=objective), steps=3, clip_value=1.0)
    assert "2 of the steps" in notices(list(trainer.run(lambda: False)))[0]
    assert all(p.isfinite().all() for p in trainer.model.parameters())


def test_three_bad_steps_in_a_row_are_tolerated_and_more_elsewhere() -> None:
    parts = make_parts(batch, objective=bad_at({1, 2, 3, 5, 6, 7}))
    trainer = make_trainer(parts, steps=9, log_every=1)
    steps = [e.step for e in trainer.run(lambda: False) if isinstance(e, StepFinished)]
    assert steps == [1, 5, 9], "a step that was left out has nothing to report"


@pytest.mark.parametrize("due", [1, 8, 1000])
def test_a_fourth_without_a_checkpoint_ends_the_run(due: int) -> None:
    saved: list[TrainState] = []
    parts = make_parts(batch, objective=bad_at({2, 3, 4, 5}), saved=saved)
    with pytest.raises(DivergedError, match=r"step 3, at a learning rate of 0\.02") as caught:
        list(make_trainer(parts, steps=10, log_every=due).run(lambda: False))
    assert caught.value.code == 8
    assert "text-2.txt" in caught.value.message
    assert "--lr" in caught.value.hint
    assert saved == []


class Checkpoints:
    """Keeps the newest state and weights, as the store does."""

    def __init__(self) -> None:
        self.trainer: Trainer | None = None
        self.step, self.weights = 0, dict[str, torch.Tensor]()

    def restore(self, state: TrainState) -> RunResumed | None:
        assert self.trainer is not None
        self.trainer.model.load_state_dict(self.weights)
        state.step, state.tokens = self.step, 32 * self.step
        state.unreported_steps = state.unreported_skips = 0
        return RunResumed(name="", directory="", from_step=state.step)

    def keep(self, trainer: Trainer) -> None:
        self.trainer, self.step = trainer, trainer.state.step
        self.weights = {k: t.clone() for k, t in trainer.model.state_dict().items()}


def test_a_run_goes_back_once_and_past_the_text_that_broke_it() -> None:
    kept, numbers = Checkpoints(), list[int]()

    def read(number: int) -> torch.Tensor:
        numbers.append(number)
        return batch(number)

    objective = bad_at({3, 4, 5, 6})
    trainer = make_trainer(
        make_parts(read, objective=objective, restore=kept.restore), steps=8, log_every=7
    )
    kept.keep(trainer)
    events = list(trainer.run(lambda: False))
    assert numbers == [*range(7), *range(7, 15)]
    assert [e.from_step for e in events if isinstance(e, RunResumed)] == [0]
    assert "back to step 0" in notices(events)[-1]
    assert (trainer.state.step, trainer.state.batch_offset, trainer.state.skips_in_row) == (8, 7, 0)


def test_a_run_that_diverges_again_ends() -> None:
    kept = Checkpoints()
    parts = make_parts(batch, objective=bad_at(set(range(3, 99))), restore=kept.restore)
    trainer = make_trainer(parts, steps=30, log_every=1)
    kept.keep(trainer)
    events = []
    with pytest.raises(DivergedError, match=r"step 1, .* text-7\.txt"):
        events.extend(trainer.run(lambda: False))


def test_a_stop_inside_a_row_of_bad_steps_is_resumed_inside_it() -> None:
    saved: list[TrainState] = []
    answers = iter([False] * 4)
    parts = make_parts(batch, objective=bad_at({2, 3}), saved=saved)
    list(make_trainer(parts, steps=10).run(lambda: next(answers, True)))
    (state,) = saved
    assert (state.step, state.skips_in_row, state.unreported_skips) == (4, 2, 2)

    model = make_model(make_config())
    optimizer = build_optimizer(model, name="muon", learning_rate=0.02, weight_decay=0, width=32)
    parts = make_parts(batch, objective=bad_at({0, 1}))
    resumed = Trainer(model, optimizer, make_settings(steps=10), parts, state)
    with pytest.raises(DivergedError, match="step 3"):
        list(resumed.run(lambda: False))


def test_weights_that_are_no_numbers_are_not_saved() -> None:
    saved: list[TrainState] = []
    trainer = make_trainer(make_parts(batch, saved=saved), steps=2)
    with torch.no_grad():
        trainer.model.model.norm.weight[0] = float("inf")
    with pytest.raises(DivergedError):
        list(trainer.run(lambda: False))
    assert saved == []
