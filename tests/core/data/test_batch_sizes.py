from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.core.data.test_batches import CONTEXT, spans, tokens  # noqa: F401
from tests.core.data.test_chat_batches import SPANS, TARGETS, TOKENS
from tissu_core.config.training import TrainingConfig, parse_batch_ramp
from tissu_core.data.batch_sizes import BatchSizes, batch_sizes
from tissu_core.data.batches import BatchOrder
from tissu_core.data.chat_batches import ChatOrder
from tissu_core.data.shards import Spans
from tissu_core.errors import ConfigError

ramps = st.tuples(st.integers(1, 9), st.integers(1, 9), st.integers(1, 50))


@given(ramps, st.integers(0, 80))
def test_a_step_begins_where_those_before_it_ended(ramp: tuple[int, int, int], step: int) -> None:
    first, stages, steps = ramp
    sizes = BatchSizes(first * stages, (first, steps))
    assert sizes.before(step) == sum(sizes.at(earlier) for earlier in range(step))


@given(ramps)
def test_a_batch_grows_evenly_from_the_first_size_to_the_last(ramp: tuple[int, int, int]) -> None:
    first, stages, steps = ramp
    sizes = BatchSizes(first * stages, (first, steps))
    found = [sizes.at(step) for step in range(steps + 3)]
    assert found[0] == first or steps < stages
    assert found[steps:] == [first * stages] * 3
    assert all(before <= after and after % first == 0 for before, after in pairwise(found))
    if steps >= stages:
        assert set(found) == {first * stage for stage in range(1, stages + 1)}


@given(ramps, st.integers(1, 2000))
def test_the_steps_for_so_many_windows_read_about_as_many(
    ramp: tuple[int, int, int], windows: int
) -> None:
    first, stages, steps = ramp
    sizes = BatchSizes(first * stages, (first, steps))
    needed = sizes.steps_for(windows)
    assert abs(sizes.before(needed) - windows) <= max(sizes.at(needed), first)


def test_without_a_ramp_all_steps_are_alike() -> None:
    sizes = BatchSizes(6)
    assert ([sizes.at(step) for step in range(4)], sizes.before(7)) == ([6] * 4, 42)
    assert [sizes.steps_for(windows) for windows in (0, 8, 9, 10, 15, 60)] == [1, 1, 2, 2, 2, 10]


def test_a_growing_batch_reads_the_same_windows_in_the_same_order(
    tokens: np.ndarray,  # noqa: F811
    spans: Spans,  # noqa: F811
) -> None:
    def read(sizes: BatchSizes, steps: range, **start: int) -> np.ndarray:
        order = BatchOrder(tokens, spans, context=CONTEXT, sizes=sizes, seed=1, **start)
        return np.concatenate([order.batch(step) for step in steps])

    ramp = BatchSizes(6, (2, 5))
    whole = read(BatchSizes(1), range(ramp.before(12)))
    assert np.array_equal(read(ramp, range(12)), whole)
    resumed = read(ramp, range(4, 12), first_step=4, first_window=ramp.before(4))
    assert np.array_equal(resumed, whole[ramp.before(4) :])


def test_a_growing_batch_names_its_documents_and_takes_conversations_too() -> None:
    def order(sizes: BatchSizes) -> ChatOrder:
        return ChatOrder(TOKENS, TARGETS, SPANS, context=8, sizes=sizes, seed=1)

    ramp, single = order(BatchSizes(4, (2, 3))), order(BatchSizes(1))
    assert [len(ramp.batch(step)) for step in range(4)] == [2, 2, 2, 4]
    assert np.array_equal(ramp.batch(3), np.concatenate([single.batch(n) for n in range(6, 10)]))
    expected = {int(d) for n in range(6, 10) for d in single.documents(n)}
    assert set(ramp.documents(3).tolist()) == expected


def test_a_run_says_its_sizes_in_tokens_and_sequences() -> None:
    sizes = batch_sizes(TrainingConfig(batch_tokens=64, batch_ramp="2:8:6"), 8)
    assert [sizes.at(step) for step in range(8)] == [2, 2, 4, 4, 6, 6, 8, 8]


@pytest.mark.parametrize("text", ["8", "8:64", "64:8:10", "8:60:10", "8:8:10", "a:b:c", "0:8:9"])
def test_a_ramp_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="--batch-ramp"):
        parse_batch_ramp(text)
