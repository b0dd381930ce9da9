from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tissu_core.data.batch_sizes import BatchSizes
from tissu_core.data.chat_batches import ChatOrder, iter_chat_windows, pack
from tissu_core.data.shards import Spans

LENGTHS = np.array([5, 9, 3, 4, 7, 2, 9, 6], dtype=np.int64)
CONTEXT = 8
ENDS = LENGTHS.cumsum()
TOKENS = np.arange(100, 100 + ENDS[-1]).astype(np.uint16)
TARGETS = (np.arange(ENDS[-1]) % 3 == 0).astype(np.uint8)
SPANS = Spans(ENDS - LENGTHS, LENGTHS)


def order(seed: int = 1, batch: int = 2) -> ChatOrder:
    return ChatOrder(TOKENS, TARGETS, SPANS, context=CONTEXT, sizes=BatchSizes(batch), seed=seed)


@given(st.lists(st.integers(1, 20), min_size=1, max_size=60))
def test_every_conversation_is_whole_in_one_window(lengths: list[int]) -> None:
    windows = pack(np.array(lengths), 20)
    assert sorted(number for window in windows for number in window) == list(range(len(lengths)))
    sizes = [sum(lengths[number] for number in window) for window in windows]
    assert max(sizes) <= 20
    # No two windows fit in one.
    assert len(windows) < 2 or sum(sorted(sizes)[:2]) > 20


def test_a_window_holds_ids_of_targets_and_complements_of_the_rest() -> None:
    batches = order()
    rows = [batches.window(number) for number in range(batches.windows_per_pass)]
    found = Counter()
    for row in rows:
        assert row.shape == (CONTEXT + 1,)
        ids = np.where(row < 0, ~row, row)
        used = ids >= 100
        assert used[: used.sum()].all(), "the empty rest stands at the end"
        assert (row[~used] < 0).all()
        assert np.array_equal(row[used] >= 0, TARGETS[ids[used] - 100] == 1)
        found.update(ids[used].tolist())
    assert found == Counter(TOKENS.tolist()), "each token once a pass"


def test_the_order_is_a_function_of_seed_and_step_and_new_each_pass() -> None:
    forward, backward = order(), order()
    steps = range(12)
    expected = [forward.batch(step) for step in steps]
    assert all(np.array_equal(backward.batch(s), expected[s]) for s in reversed(steps))
    passes = [
        [order().window(epoch * forward.windows_per_pass + n).tolist() for n in range(6)]
        for epoch in (0, 1)
    ]
    assert passes[0] != passes[1]
    assert any(not np.array_equal(order(seed=2).batch(s), expected[s]) for s in range(3))


def test_the_documents_of_a_step_are_those_its_windows_hold() -> None:
    batches = order()
    for step in range(3):
        rows = batches.batch(step)
        ids = np.where(rows < 0, ~rows, rows) - 100
        starts = [start for start in SPANS.starts.tolist() if (ids == start).any()]
        assert sorted(batches.documents(step).tolist()) == starts


@pytest.mark.parametrize("max_tokens", [8, 24, 1000])
def test_validation_windows_are_thinned_evenly(max_tokens: int) -> None:
    cut = {"context": CONTEXT, "max_tokens": max_tokens, "batch_sequences": 2}
    rows = np.concatenate(list(iter_chat_windows(TOKENS, TARGETS, SPANS, **cut)))
    assert len(rows) == min(len(pack(LENGTHS, CONTEXT + 1)), max_tokens // CONTEXT)
    assert len(np.unique(rows, axis=0)) == len(rows)
