import pytest
import torch

from tests.core.training.loop import make_parts, make_settings
from tests.core.training.test_containment import bad_at, batch, notices
from tests.samples import CPU, make_config, make_model
from tissu_core.checkpoint.training_state import TrainState
from tissu_core.errors import DivergedError
from tissu_core.events.training import StepFinished
from tissu_core.training import loss_scale
from tissu_core.training.loss_scale import FIRST, LARGEST, LossScale
from tissu_core.training.optim import build_optimizer
from tissu_core.training.trainer import LoopParts, Trainer

ONE, INFINITE = torch.ones(()), torch.tensor(float("inf"))


def make_trainer(parts: LoopParts, state: TrainState | None = None, **settings: object) -> Trainer:
    model = make_model(make_config())
    optimizer = build_optimizer(model, name="adamw", learning_rate=0.01, weight_decay=0, width=32)
    return Trainer(
        model,
        optimizer,
        make_settings(precision="fp16", **settings),
        parts,
        state or TrainState(),
    )


@pytest.mark.parametrize("steps", [1, 8])
def test_an_overflow_is_left_out_the_scale_halves_and_the_run_recovers(steps: int) -> None:
    """A scale that no gradient in fp16 survives comes down in more steps than are tolerated."""
    state = TrainState(loss_scale=2.0**24)
    trainer = make_trainer(make_parts(batch), state, steps=30, log_every=steps)
    before = {name: tensor.clone() for name, tensor in trainer.model.state_dict().items()}
    events = list(trainer.run(lambda: False))
    losses = [event.loss for event in events if isinstance(event, StepFinished)]
    assert 1 <= state.loss_scale <= 2.0**19, "halved at least five times in a row"
    assert state.skips_in_row == 0
    assert losses[-1] < losses[0]
    assert any("too large for fp16" in text for text in notices(events))
    assert not any("no number" in text for text in notices(events))
    after = trainer.model.state_dict()
    assert all(after[name].isfinite().all() for name in after)
    assert any(not torch.equal(after[name], before[name]) for name in after)


def test_the_scale_is_not_in_what_is_reported_or_stepped_along() -> None:
    def run(scale: float) -> list[StepFinished]:
        trainer = make_trainer(
            make_parts(batch), TrainState(loss_scale=scale), steps=3, log_every=1
        )
        return [e for e in trainer.run(lambda: False) if isinstance(e, StepFinished)]

    for one, other in zip(run(64.0), run(4096.0), strict=True):
        assert one.grad_norm == pytest.approx(other.grad_norm, rel=1e-2)
        assert one.loss == pytest.approx(other.loss, rel=1e-2)


def test_a_loss_that_is_no_number_still_ends_the_run() -> None:
    trainer = make_trainer(make_parts(batch, objective=bad_at({2, 3, 4, 5})), steps=9, log_every=9)
    with pytest.raises(DivergedError):
        list(trainer.run(lambda: False))
    assert trainer.state.loss_scale == FIRST, "a smaller scale would not have helped"


def test_at_the_smallest_scale_an_overflow_is_a_divergence() -> None:
    scale = LossScale(TrainState(loss_scale=2.0), CPU)
    assert scale.judge(ONE, INFINITE)
    assert not scale.judge(ONE, INFINITE)
    assert scale.factor == 1


def test_it_grows_after_many_good_steps_and_not_beyond_its_largest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(loss_scale, "GROWTH_STEPS", 3)
    scale = LossScale(TrainState(loss_scale=LARGEST / 2), CPU)
    factors = []
    for norm in (ONE, ONE, INFINITE, ONE, ONE, ONE, ONE, ONE, ONE, ONE, ONE, ONE):
        scale.judge(ONE, norm)
        factors.append(float(scale.factor) / LARGEST)
    assert factors == [0.5, 0.5, 0.25, 0.25, 0.25, 0.5, 0.5, 0.5, 1, 1, 1, 1]


def test_the_state_has_all_of_it() -> None:
    state = TrainState(loss_scale=256.0, loss_scale_good_steps=1998, unreported_overflows=1)
    scale = LossScale(state, CPU)
    scale.judge(ONE, ONE)
    scale.read_into(state)
    assert (state.loss_scale, state.loss_scale_good_steps) == (256.0, 1999)
    LossScale(state, CPU).judge(ONE, ONE)
    again = LossScale(state, CPU)
    again.judge(ONE, INFINITE)
    again.read_into(state)
    assert (state.loss_scale, state.loss_scale_good_steps) == (128.0, 0)
    assert state.unreported_overflows == 2
