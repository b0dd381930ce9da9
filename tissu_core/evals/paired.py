"""Models beside each other on the same text: whether one is better, or it was this text's chance.

Passages (or items of a suite) are drawn again and again, as many as there are and each as often as
it comes, the same ones for all models; how much a difference moves from draw to draw tells how far
it would on other text of the kind. A score of one model is drawn so as well. Source: Efron
1979, "Bootstrap methods: another look at the jackknife"; paired as in Koehn 2004, "Statistical
significance tests for machine translation evaluation".
"""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

RESAMPLES = 5_000
CONFIDENCE = 0.95
LEAST_UNITS = 10
"""With fewer passages or items their draws tell nothing of others."""
_ENOUGH_DOCUMENTS = 50
"""From where documents are drawn rather than passages of them, which know of each other."""
_MOST_UNITS = 4_096
"""Where there are more, neighbours are drawn together."""
_DRAWN_AT_ONCE = 1 << 20

Numbers = npt.NDArray[np.float64]
Score = Callable[[Numbers], Numbers]
"""Of sums over units. Shapes: takes (R, D), what R figures sum to in D draws; returns (..., D)."""


class Interval(NamedTuple):
    """Where a difference or a score lies; None where too little was measured to say."""

    low: float | None
    high: float | None

    @property
    def is_beyond_chance(self) -> bool:
        """Whether all of it is on one side of none."""
        return self.low is not None and self.high is not None and (self.low > 0 or self.high < 0)


class Costs:
    """What passages cost one model, document after document."""

    def __init__(self) -> None:
        self._num_bytes: list[Numbers] = []
        self._nll: list[Numbers] = []

    def add(self, num_bytes: npt.NDArray[np.int64], nll: Numbers) -> None:
        """The passages of one more document, with their costs in nats."""
        if len(nll):
            self._num_bytes.append(num_bytes.astype(np.float64))
            self._nll.append(nll)

    @property
    def are_documents_enough(self) -> bool:
        """Whether documents are the units that are drawn."""
        return len(self._nll) >= _ENOUGH_DOCUMENTS

    def units(self) -> tuple[Numbers, Numbers]:
        """Bytes and bits of each unit."""
        found = []
        for parts in (self._num_bytes, self._nll):
            sums = [each.sum(keepdims=True) for each in parts]
            found.append(np.concatenate(sums if self.are_documents_enough else parts))
        return found[0], found[1] / math.log(2)


def ratio(sums: Numbers) -> Numbers:
    """A ``Score``: the second figure by the first, such as bits per byte, or a mean of values."""
    quotient: Numbers = sums[1] / sums[0]
    return quotient


def intervals_to_first(sizes: Numbers, costs: Sequence[Numbers], seed: int) -> list[Interval]:
    """Of sum(cost) / sum(size), how far each is from the first.

    Shapes: sizes (U,), each of costs (U,), of the same units; returns one for each of costs.
    """
    return differences_to_first([np.stack([sizes, each]) for each in costs], ratio, seed)


def differences_to_first(tables: Sequence[Numbers], score: Score, seed: int) -> list[Interval]:
    """How far the score of each table is from that of the first.

    Shapes: each of tables (R, U), R figures of the same units; returns one for each table.
    """

    def differ(sums: Numbers) -> Numbers:
        scores = np.stack([score(part) for part in np.split(sums, len(tables))])
        differences: Numbers = scores - scores[0]
        return differences

    return intervals(resampled(np.concatenate(tables), differ, seed))


def resampled(table: Numbers, score: Score, seed: int) -> Numbers:
    """What ``score`` comes to in each of ``RESAMPLES`` draws; in none where units are too few.

    Shapes: table (R, U), R figures of each unit; returns (..., D), as ``score`` does.
    """
    if table.shape[1] < LEAST_UNITS:
        none: Numbers = score(table.sum(axis=1, keepdims=True))[..., :0]
        return none
    every = -(-table.shape[1] // _MOST_UNITS)
    table = np.add.reduceat(table, np.arange(0, table.shape[1], every), axis=1)
    units, draw = table.shape[1], np.random.default_rng(seed)
    at_once = max(1, _DRAWN_AT_ONCE // table.size)
    found = []
    for begin in range(0, RESAMPLES, at_once):
        drawn = draw.integers(units, size=(min(at_once, RESAMPLES - begin), units))
        found.append(score(table[:, drawn].sum(axis=2)))
    return np.concatenate(found, axis=-1)


def intervals(drawn: Numbers) -> list[Interval]:
    """Of each row of ``resampled``; shape (S, D)."""
    if not drawn.shape[1]:
        return [Interval(None, None) for _ in drawn]
    tail = (1 - CONFIDENCE) / 2
    bounds = np.quantile(drawn, [tail, 1 - tail], axis=1)
    return [Interval(float(low), float(high)) for low, high in bounds.T]
