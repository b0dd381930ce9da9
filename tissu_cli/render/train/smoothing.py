"""The line through a loss that jumps."""

import math

_KEPT = 0.8


class Smoothing:
    """A debiased moving average: early values count fully (Kingma and Ba 2014, section 3)."""

    def __init__(self) -> None:
        self._weight = 0.0

    def after(self, before: float, value: float) -> float:
        """The average that follows ``before``, NaN where there is none yet; NaN changes nothing."""
        if math.isnan(value):
            return before
        before = value if math.isnan(before) else before
        weight = _KEPT * self._weight + (1 - _KEPT)
        average = (_KEPT * self._weight * before + (1 - _KEPT) * value) / weight
        self._weight = weight
        return average
