import math

import numpy as np
import pytest

from tissu_core.evals.paired import LEAST_UNITS, RESAMPLES, Costs, Interval, intervals_to_first


def noise(units: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=units)


def test_a_model_against_itself_differs_by_nothing() -> None:
    sizes, costs = np.full(60, 512.0), 600 + 80 * noise(60, 0)
    assert RESAMPLES >= 2000
    for interval in intervals_to_first(sizes, [costs, costs.copy()], 0):
        assert interval == Interval(0.0, 0.0) and not interval.is_beyond_chance


def test_a_small_difference_on_the_same_text_is_seen_where_apart_it_would_not_be() -> None:
    """Passages differ by far more than models do; held against each other, that cancels."""
    sizes, hard = np.full(200, 512.0), 600 + 150 * noise(200, 1)
    better = hard - 5 + 4 * noise(200, 2)
    _, paired = intervals_to_first(sizes, [hard, better], 0)
    assert paired.is_beyond_chance and paired.high is not None and paired.high < 0
    mixed = np.random.default_rng(3).permutation(better)
    assert not intervals_to_first(sizes, [hard, mixed], 0)[1].is_beyond_chance


def test_an_interval_holds_the_truth_about_as_often_as_it_says() -> None:
    """150 texts of two models that are equal: of 95 % intervals, 136 to 149 hold 0."""
    held, sizes = 0, np.full(60, 512.0)
    for seed in range(150):
        first, other = 600 + 20 * noise(60, 2 * seed), 600 + 20 * noise(60, 2 * seed + 1)
        held += not intervals_to_first(sizes, [first, other], seed)[1].is_beyond_chance
    assert 136 <= held <= 149


def test_it_is_as_wide_as_the_formula_for_equal_passages_says() -> None:
    sizes, difference = np.full(400, 512.0), 3 * noise(400, 5)
    low, high = intervals_to_first(sizes, [np.zeros(400), difference], 0)[1]
    assert low is not None and high is not None
    expected = 2 * 1.96 * difference.std() / math.sqrt(400) / 512
    assert high - low == pytest.approx(expected, rel=0.05)


def test_the_seed_decides_and_all_models_share_the_draws() -> None:
    sizes, first, other = np.full(50, 9.0), noise(50, 1), noise(50, 2)
    one = intervals_to_first(sizes, [first, other], 4)
    assert intervals_to_first(sizes, [first, other], 4) == one
    assert intervals_to_first(sizes, [first, other], 5) != one
    twice = intervals_to_first(sizes, [first, other, other], 4)
    assert twice[1] == twice[2]


def test_too_few_passages_say_nothing() -> None:
    sizes, costs = np.ones(LEAST_UNITS - 1), noise(LEAST_UNITS - 1, 0)
    (_, interval) = intervals_to_first(sizes, [costs, costs + 9], 0)
    assert interval == Interval(None, None) and not interval.is_beyond_chance


def test_many_passages_are_drawn_with_their_neighbours() -> None:
    sizes, first = np.ones(10_001), noise(10_001, 0)
    other = first + 0.1 + noise(10_001, 1)
    low, high = intervals_to_first(sizes, [first, other], 0)[1]
    assert low is not None and high is not None
    mean = float((other - first).mean())
    assert low < mean < high and high - low == pytest.approx(2 * 1.96 / 100, rel=0.1)


@pytest.mark.parametrize(("documents", "expected"), [(3, 6), (50, 50)])
def test_documents_are_the_units_where_there_are_enough(documents: int, expected: int) -> None:
    costs = Costs()
    for _ in range(documents):
        costs.add(np.array([512, 88]), np.array([10.0, 2.0]))
        costs.add(np.array([], dtype=np.int64), np.array([]))
    sizes, bits = costs.units()
    assert len(sizes) == len(bits) == expected
    assert sizes.sum() == documents * 600
    assert bits.sum() == pytest.approx(documents * 12 / math.log(2))
