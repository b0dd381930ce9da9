"""Which tokens each step reads: a pure function of (seed, step).

There is no iterator to save and nothing to replay on resume; any number of processes computes the
same order, and the documents of a step can be named afterwards.
"""

import hashlib
from collections.abc import Iterator
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from tissu_core.data.shards import Ids, Offsets, Spans

Windows = npt.NDArray[np.int64]


class BatchOrder:
    """Documents in a new seeded order each pass, laid end to end, cut into windows, shuffled.

    Window w of a pass is ``context + 1`` tokens: inputs and their next tokens. Neighbouring windows
    share one token, so every token but the first is a target once a pass.
    """

    def __init__(
        self,
        tokens: Ids,
        spans: Spans,
        *,
        context: int,
        batch_sequences: int,
        seed: int,
        first_step: int = 0,
        first_window: int = 0,
    ) -> None:
        """``first_step`` is the first one asked for, and begins with ``first_window``."""
        self.context, self.batch_sequences, self.seed = context, batch_sequences, seed
        self._tokens, self._spans = tokens, spans
        self._first_step, self._first_window = first_step, first_window
        self.windows_per_pass = (spans.num_tokens - 1) // context
        self._order = lru_cache(maxsize=2)(self._draw_order)

    def batch(self, step: int) -> Windows:
        """The windows of a step: (B, T+1) ids."""
        return np.stack([self.window(number) for number in self._numbers(step)])

    def window(self, number: int) -> Windows:
        """The ``number``-th window since the start of training: (T+1,) ids."""
        epoch, slot = divmod(number, self.windows_per_pass)
        ends, starts, windows = self._order(epoch)
        first = int(windows[slot]) * self.context
        return _gather(self._tokens, starts, ends, first, self.context + 1)

    def documents(self, step: int) -> Offsets:
        """First tokens of the documents that a step reads, rising."""
        return np.unique(np.concatenate([self._documents_of(row) for row in self._numbers(step)]))

    def _numbers(self, step: int) -> range:
        first = self._first_window + (step - self._first_step) * self.batch_sequences
        return range(first, first + self.batch_sequences)

    def _documents_of(self, number: int) -> Offsets:
        epoch, slot = divmod(number, self.windows_per_pass)
        ends, starts, windows = self._order(epoch)
        first = int(windows[slot]) * self.context
        low, high = np.searchsorted(ends, (first, first + self.context), side="right")
        return starts[low : high + 1]

    def _draw_order(self, epoch: int) -> tuple[Offsets, Offsets, Offsets]:
        draw = _generator("order", self.seed, epoch)
        documents = draw.permutation(len(self._spans.starts))
        ends = np.cumsum(self._spans.lengths[documents])
        windows = draw.permutation(self.windows_per_pass).astype(np.int64)
        return ends, self._spans.starts[documents], windows


def iter_validation_windows(
    tokens: Ids, spans: Spans, *, context: int, max_tokens: int, batch_sequences: int
) -> Iterator[Windows]:
    """The validation text in order in windows of context + 1, evenly thinned to ``max_tokens``."""
    count = max(1, (spans.num_tokens - 1) // context)
    width = min(context, spans.num_tokens - 1) + 1
    wanted = min(count, max(1, max_tokens // context))
    ends = np.cumsum(spans.lengths)
    chosen = np.linspace(0, count, wanted, endpoint=False).astype(np.int64)
    for begin in range(0, len(chosen), batch_sequences):
        yield np.stack(
            [
                _gather(tokens, spans.starts, ends, int(window) * context, width)
                for window in chosen[begin : begin + batch_sequences]
            ]
        )


def _gather(tokens: Ids, starts: Offsets, ends: Offsets, first: int, count: int) -> Windows:
    """``count`` tokens from position ``first`` of the spans laid end to end."""
    out = np.empty(count, dtype=np.int64)
    filled = 0
    span = int(np.searchsorted(ends, first, side="right"))
    while filled < count:
        length = int(ends[span] - (ends[span - 1] if span else 0))
        offset = first + filled - (int(ends[span]) - length)
        take = min(length - offset, count - filled)
        begin = int(starts[span]) + offset
        out[filled : filled + take] = tokens[begin : begin + take]
        filled += take
        span += 1
    return out


def _generator(*parts: int | str) -> np.random.Generator:
    digest = hashlib.sha256(repr(parts).encode()).digest()
    return np.random.Generator(np.random.PCG64(int.from_bytes(digest[:16], "little")))
