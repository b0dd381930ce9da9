import itertools
from collections import Counter

import numpy as np
import pytest

from tissu_core.data.batch_sizes import BatchSizes
from tissu_core.data.batches import BatchOrder, iter_validation_windows
from tissu_core.data.shards import Spans

CONTEXT = 8
LENGTHS = [21, 5, 40, 1, 17, 29, 9, 39]  # 161 tokens: 20 windows of 8, and the first token


@pytest.fixture(scope="module")
def spans() -> Spans:
    # A gap of 3 tokens between documents, as held-out documents leave them.
    starts = np.cumsum([0, *[length + 3 for length in LENGTHS[:-1]]])
    return Spans(starts.astype(np.int64), np.array(LENGTHS))


@pytest.fixture(scope="module")
def tokens(spans: Spans) -> np.ndarray:
    """Each token is its place, but the first of each document, which is 0, and gaps, 9999."""
    out = np.full(300, 9999, dtype=np.uint16)
    for start, length in zip(spans.starts, spans.lengths, strict=True):
        out[start : start + length] = np.arange(start, start + length)
        out[start] = 0
    return out


def order(tokens: np.ndarray, spans: Spans, seed: int = 1, batch: int = 4) -> BatchOrder:
    return BatchOrder(tokens, spans, context=CONTEXT, sizes=BatchSizes(batch), seed=seed)


def one_pass(batches: BatchOrder, epoch: int) -> np.ndarray:
    first = epoch * batches.windows_per_pass
    return np.stack([batches.window(first + n) for n in range(batches.windows_per_pass)])


def test_a_batch_is_windows_of_context_and_one(tokens: np.ndarray, spans: Spans) -> None:
    batch = order(tokens, spans).batch(3)
    assert batch.shape == (4, CONTEXT + 1)
    assert batch.dtype == np.int64


def test_a_batch_is_a_function_of_seed_and_step(tokens: np.ndarray, spans: Spans) -> None:
    forward, backward = order(tokens, spans), order(tokens, spans)
    expected = [forward.batch(step) for step in range(15)]
    for step in reversed(range(15)):
        assert np.array_equal(backward.batch(step), expected[step])
    other = order(tokens, spans, seed=2)
    assert any(not np.array_equal(other.batch(step), expected[step]) for step in range(5))


def test_steps_of_any_batch_size_read_the_same_windows(tokens: np.ndarray, spans: Spans) -> None:
    small, large = order(tokens, spans, batch=2), order(tokens, spans, batch=6)
    found = np.concatenate([small.batch(step) for step in range(9)])
    assert np.array_equal(found, np.concatenate([large.batch(step) for step in range(3)]))


def test_each_pass_has_every_token_once_as_a_target(tokens: np.ndarray, spans: Spans) -> None:
    batches = order(tokens, spans)
    assert batches.windows_per_pass == 20
    expected = Counter(tokens[tokens != 9999].tolist())
    expected[0] -= 1  # a pass begins with one token that nothing predicts
    for epoch in range(3):
        assert Counter(one_pass(batches, epoch)[:, 1:].flatten().tolist()) == expected


def test_passes_have_different_orders(tokens: np.ndarray, spans: Spans) -> None:
    batches = order(tokens, spans)
    passes = [one_pass(batches, epoch) for epoch in range(3)]
    assert not np.array_equal(passes[0], passes[1])
    as_sets = [{tuple(window) for window in each} for each in passes]
    assert as_sets[0] != as_sets[1], "documents keep their order, so windows repeat"


def test_windows_are_text_in_order(tokens: np.ndarray, spans: Spans) -> None:
    begins = set(spans.starts.tolist())
    ends = {
        int(tokens[start + length - 1])
        for start, length in zip(spans.starts, spans.lengths, strict=True)
    }
    for window in one_pass(order(tokens, spans), 0):
        for before, after in itertools.pairwise(window):
            if after == 0:  # a new document begins, so one has ended
                assert before in ends
            elif before == 0:
                assert after - 1 in begins
            else:
                assert after == before + 1


def test_windows_of_a_pass_overlap_by_one_token(tokens: np.ndarray, spans: Spans) -> None:
    windows = one_pass(order(tokens, spans), 0)
    firsts = Counter(windows[:, 0].tolist())
    lasts = Counter(windows[:, -1].tolist())
    assert sum((firsts & lasts).values()) >= 19


def test_windows_are_shuffled_within_a_pass(tokens: np.ndarray, spans: Spans) -> None:
    windows = one_pass(order(tokens, spans), 0)
    follow = sum(a[-1] == b[0] for a, b in itertools.pairwise(windows))
    assert follow < 8


def test_a_text_of_one_window_is_read_again_and_again(tokens: np.ndarray) -> None:
    single = Spans(np.array([0]), np.array([CONTEXT + 1]))
    batch = order(tokens, single).batch(5)
    assert np.array_equal(batch, np.tile(np.arange(CONTEXT + 1), (4, 1)))


def validation(tokens: np.ndarray, spans: Spans, max_tokens: int, batch: int = 3) -> np.ndarray:
    found = iter_validation_windows(
        tokens, spans, context=CONTEXT, max_tokens=max_tokens, batch_sequences=batch
    )
    return np.concatenate(list(found))


def test_validation_is_the_text_in_order(tokens: np.ndarray, spans: Spans) -> None:
    windows = validation(tokens, spans, 10_000)
    flat = np.concatenate([windows[0, :1], windows[:, 1:].flatten()])
    assert np.array_equal(flat, tokens[tokens != 9999])


def test_validation_does_not_depend_on_the_batch_size(tokens: np.ndarray, spans: Spans) -> None:
    for max_tokens in (40, 10_000):
        expected = validation(tokens, spans, max_tokens, batch=1)
        assert np.array_equal(validation(tokens, spans, max_tokens, batch=7), expected)


def test_validation_is_thinned_evenly(tokens: np.ndarray, spans: Spans) -> None:
    whole, thin = validation(tokens, spans, 10_000), validation(tokens, spans, 5 * CONTEXT)
    assert np.array_equal(thin, whole[[0, 4, 8, 12, 16]])


def test_validation_shorter_than_a_context_is_one_short_window(tokens: np.ndarray) -> None:
    windows = validation(tokens, Spans(np.array([0]), np.array([5])), 100)
    assert np.array_equal(windows, [[0, 1, 2, 3, 4]])


def test_the_documents_of_a_step_are_those_its_tokens_are_from(
    tokens: np.ndarray, spans: Spans
) -> None:
    places = np.where(tokens == 0, np.arange(len(tokens)), tokens)  # each token says its place
    batches = BatchOrder(places, spans, context=CONTEXT, sizes=BatchSizes(2), seed=1)
    for step in range(25):
        read = np.unique(batches.batch(step))
        owners = np.searchsorted(spans.starts, read, side="right") - 1
        expected = np.unique(spans.starts[owners])
        assert batches.documents(step).tolist() == expected.tolist()
