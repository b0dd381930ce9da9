import itertools
import math
from functools import partial

import pytest
import torch
from torch.optim import lr_scheduler

from tissu_core.config.optimizer import OptimizerConfig
from tissu_core.errors import ConfigError
from tissu_core.training.schedules import (
    after_warmup,
    build_schedule,
    cosine,
    warmup_factor,
    warmup_stable_decay,
)

STEPS = 100


def factors(steps: int, warmup: int, floor: float = 0.0) -> list[float]:
    shape = partial(cosine, floor=floor)
    return [
        after_warmup(shape, step, step / steps, warmup_steps=warmup, total_steps=steps)
        for step in range(steps)
    ]


def configured(schedule: str, warmup: str = "0", **settings: object) -> list[float]:
    config = OptimizerConfig(schedule=schedule, warmup=warmup, **settings)  # type: ignore[arg-type]
    factor = build_schedule(config, STEPS)
    return [factor(step, step / STEPS) for step in range(STEPS)]


TORCH = {
    "cosine": lambda o: lr_scheduler.CosineAnnealingLR(o, T_max=STEPS, eta_min=0.1),
    "linear": lambda o: lr_scheduler.LinearLR(o, 1.0, 0.1, total_iters=STEPS),
    "step": lambda o: lr_scheduler.MultiStepLR(o, milestones=[50, 75], gamma=0.1),
    "constant": lambda o: lr_scheduler.ConstantLR(o, factor=1.0),
}


@pytest.mark.parametrize("schedule", TORCH)
def test_every_step_has_the_rate_of_torchs_schedule(schedule: str) -> None:
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    scheduler = TORCH[schedule](optimizer)
    rates = []
    for _ in range(STEPS):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    assert configured(schedule, final_fraction=0.1) == pytest.approx(rates, rel=1e-6)


def test_wsd_stays_and_then_falls_as_one_minus_the_root() -> None:
    found = configured("wsd", final_fraction=0.1, decay_fraction=0.4)
    assert found[:61] == [1.0] * 61
    expected = [0.1 + 0.9 * (1 - math.sqrt((step - 60) / 40)) for step in range(60, STEPS)]
    assert found[60:] == pytest.approx(expected)
    assert warmup_stable_decay(1.0, decay_fraction=0.4, floor=0.1) == pytest.approx(0.1)


@pytest.mark.parametrize("schedule", [*TORCH, "wsd"])
def test_each_schedule_begins_with_the_warmup_and_then_has_the_whole_shape(schedule: str) -> None:
    found, bare = configured(schedule, "20"), configured(schedule)
    assert found[:21] == pytest.approx([(step + 1) / 21 for step in range(21)])
    assert found[20::4] == pytest.approx(bare[::5]), "the same shape over the rest of the run"


@pytest.mark.parametrize("text", ["50", "50%,50%", "75%,50%", "0%", "100%", "x%", "", "50%;75%"])
def test_milestones_that_cannot_be_are_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="--milestones"):
        OptimizerConfig(milestones=text)


def test_warmup_climbs_in_equal_steps_to_the_peak() -> None:
    found = [warmup_factor(step, 4) for step in range(7)]
    assert found == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0, 1.0, 1.0])
    assert warmup_factor(0, 0) == 1.0


def test_a_run_climbs_once_and_falls_once() -> None:
    found = factors(100, 10, floor=0.05)
    assert found.index(max(found)) == 10
    assert max(found) == pytest.approx(1.0)
    assert all(a < b for a, b in itertools.pairwise(found[:11]))
    assert all(a > b for a, b in itertools.pairwise(found[10:]))
    assert 0.05 <= found[-1] < 0.06


def test_the_climb_and_the_fall_meet_without_a_jump() -> None:
    found = factors(200, 20)
    assert max(abs(a - b) for a, b in itertools.pairwise(found)) < 0.06


@pytest.mark.parametrize(("steps", "warmup"), [(1, 0), (1, 1), (3, 50), (10, 10), (2, 0)])
def test_odd_lengths_stay_between_nothing_and_the_peak(steps: int, warmup: int) -> None:
    assert all(0 < factor <= 1 for factor in factors(steps, warmup))


def test_by_time_the_end_is_reached_at_any_step() -> None:
    late = after_warmup(partial(cosine, floor=0.2), 37, 1.0, warmup_steps=5, total_steps=1000)
    assert late == pytest.approx(0.2)
