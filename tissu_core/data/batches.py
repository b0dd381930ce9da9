"""Which tokens each step reads: a pure function of (seed, step).

There is no iterator to save and nothing to replay on resume; any number of processes computes the
same order, and the documents of a step can be named afterwards.
"""

import hashlib
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tissu_core.data.batch_sizes import BatchSizes
from tissu_core.data.shards import Ids, Offsets, Spans

Windows = npt.NDArray[np.int64]


class Part(NamedTuple):
    """A piece of a document: places in the token file."""

    document: int
    """Where the document begins."""
    begin: int
    num_tokens: int


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
        sizes: BatchSizes,
        seed: int,
        first_step: int = 0,
        first_window: int = 0,
    ) -> None:
        """``first_step`` is the first one asked for, and begins with ``first_window``."""
        self.context, self.seed = context, seed
        self._tokens, self._spans, self._sizes = tokens, spans, sizes
        self._zeroth_window = first_window - sizes.before(first_step)
        self.windows_per_pass = (spans.num_tokens - 1) // context
        self._order = lru_cache(maxsize=2)(self._draw_order)

    def batch(self, step: int) -> Windows:
        """The windows of a step: (B, T+1) ids."""
        return np.stack([self.window(number) for number in self._numbers(step)])

    def window(self, number: int) -> Windows:
        """The ``number``-th window since the start of training: (T+1,) ids."""
        return _gather(self._tokens, self._parts_of(number))

    def documents(self, step: int) -> Offsets:
        """First tokens of the documents that a step reads, rising."""
        read = [part.document for parts in self.parts(step) for part in parts]
        return np.unique(np.array(read, dtype=np.int64))

    def parts(self, step: int) -> list[list[Part]]:
        """Of each window of a step, the pieces of documents that it is made of, in order."""
        return [self._parts_of(number) for number in self._numbers(step)]

    def _numbers(self, step: int) -> range:
        first = self._zeroth_window + self._sizes.before(step)
        return range(first, first + self._sizes.at(step))

    def _parts_of(self, number: int) -> list[Part]:
        epoch, slot = divmod(number, self.windows_per_pass)
        ends, starts, windows = self._order(epoch)
        return _cut(starts, ends, int(windows[slot]) * self.context, self.context + 1)

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
                _gather(tokens, _cut(spans.starts, ends, int(window) * context, width))
                for window in chosen[begin : begin + batch_sequences]
            ]
        )


def _cut(starts: Offsets, ends: Offsets, first: int, count: int) -> list[Part]:
    """What ``count`` tokens from position ``first`` of the spans laid end to end are made of."""
    parts = []
    span = int(np.searchsorted(ends, first, side="right"))
    while count:
        length = int(ends[span] - (ends[span - 1] if span else 0))
        offset = first - (int(ends[span]) - length)
        take = min(length - offset, count)
        parts.append(Part(int(starts[span]), int(starts[span]) + offset, take))
        first, count, span = first + take, count - take, span + 1
    return parts


def _gather(tokens: Ids, parts: Sequence[Part]) -> Windows:
    """The tokens of some parts, one behind the other."""
    pieces = [tokens[part.begin : part.begin + part.num_tokens] for part in parts]
    return np.concatenate(pieces, dtype=np.int64)


def _generator(*parts: int | str) -> np.random.Generator:
    digest = hashlib.sha256(repr(parts).encode()).digest()
    return np.random.Generator(np.random.PCG64(int.from_bytes(digest[:16], "little")))
