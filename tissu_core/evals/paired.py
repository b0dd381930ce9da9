"""Models beside each other on the same text: whether one is better, or it was this text's chance.

Passages are drawn again and again, as many as there are and each as often as it comes, the same
ones for all models; how much a difference moves from draw to draw tells how far it would on other
text of the kind. Source: Efron 1979, "Bootstrap methods: another look at the jackknife"; paired as
in Koehn 2004, "Statistical significance tests for machine translation evaluation".
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

RESAMPLES = 5_000
CONFIDENCE = 0.95
LEAST_UNITS = 10
"""With fewer passages their draws tell nothing of other text."""
_ENOUGH_DOCUMENTS = 50
"""From where documents are drawn rather than passages of them, which know of each other."""
_MOST_UNITS = 4_096
"""Where there are more, neighbours are drawn together."""
_DRAWN_AT_ONCE = 1 << 20

Numbers = npt.NDArray[np.float64]


class Interval(NamedTuple):
    """Where a difference lies; None where too little was measured to say."""

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


def intervals_to_first(sizes: Numbers, costs: Sequence[Numbers], seed: int) -> list[Interval]:
    """Of sum(cost) / sum(size), how far each is from the first.

    Shapes: sizes (U,), each of costs (U,), of the same units; returns one for each of costs.
    """
    if len(sizes) < LEAST_UNITS:
        return [Interval(None, None) for _ in costs]
    every = -(-len(sizes) // _MOST_UNITS)
    table = np.stack([sizes, *(each - costs[0] for each in costs)])
    table = np.add.reduceat(table, np.arange(0, len(sizes), every), axis=1)
    units, draw = table.shape[1], np.random.default_rng(seed)
    at_once = max(1, _DRAWN_AT_ONCE // (units * len(table)))
    found = []
    for begin in range(0, RESAMPLES, at_once):
        drawn = draw.integers(units, size=(min(at_once, RESAMPLES - begin), units))
        sums = table[:, drawn].sum(axis=2)
        found.append(sums[1:] / sums[0])
    tail = (1 - CONFIDENCE) / 2
    bounds = np.quantile(np.concatenate(found, axis=1), [tail, 1 - tail], axis=1)
    return [Interval(float(low), float(high)) for low, high in bounds.T]
