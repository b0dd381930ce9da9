import itertools

import pytest

from tissu_core.training.schedules import cosine_factor, warmup_factor, warmup_then_cosine


def factors(steps: int, warmup: int, floor: float = 0.0) -> list[float]:
    return [
        warmup_then_cosine(step, step / steps, warmup_steps=warmup, total_steps=steps, floor=floor)
        for step in range(steps)
    ]


def test_warmup_climbs_in_equal_steps_to_the_peak() -> None:
    found = [warmup_factor(step, 4) for step in range(7)]
    assert found == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0, 1.0, 1.0])
    assert warmup_factor(0, 0) == 1.0


def test_cosine_goes_from_one_over_the_middle_to_the_floor() -> None:
    assert cosine_factor(0.0, 0.1) == pytest.approx(1.0)
    assert cosine_factor(0.5, 0.1) == pytest.approx(0.55)
    assert cosine_factor(1.0, 0.1) == pytest.approx(0.1)
    assert cosine_factor(-1.0, 0.1) == pytest.approx(1.0)
    assert cosine_factor(2.0, 0.1) == pytest.approx(0.1)


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
    late = warmup_then_cosine(37, 1.0, warmup_steps=5, total_steps=1000, floor=0.2)
    assert late == pytest.approx(0.2)
