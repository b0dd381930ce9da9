"""A line that grows and never costs more to draw."""

import math
from bisect import bisect_right

_MOST = 1024  # a chart of 250 columns has dots for 500


class Series:
    """Points in the order of x. Of very many, the lowest and highest of each stretch are kept."""

    def __init__(self) -> None:
        self.xs: list[float] = []
        self.ys: list[float] = []

    def add(self, x: float, y: float) -> None:
        """One more point; what is no number leaves a gap."""
        self.xs.append(x)
        self.ys.append(y if math.isfinite(y) else math.nan)
        if len(self.xs) > _MOST:
            self._halve()

    def cut(self, x: float) -> None:
        """Forget what lies behind ``x``."""
        kept = bisect_right(self.xs, x)
        del self.xs[kept:], self.ys[kept:]

    @property
    def last(self) -> float:
        """The newest value; NaN before there is one."""
        return self.ys[-1] if self.ys else math.nan

    def numbers(self, since: float = 0.0) -> list[float]:
        """The values that are numbers, without the given share of the first."""
        return [y for y in self.ys[int(len(self.ys) * since) :] if not math.isnan(y)]

    def _halve(self) -> None:
        xs, ys = self.xs, self.ys
        kept: list[int] = []
        for begin in range(0, len(xs) - 1, 4):
            stretch = range(begin, min(begin + 4, len(xs) - 1))
            known = [index for index in stretch if not math.isnan(ys[index])] or [begin]
            ends = {min(known, key=ys.__getitem__), max(known, key=ys.__getitem__)}
            kept += sorted(ends)
        kept.append(len(xs) - 1)
        self.xs, self.ys = [xs[index] for index in kept], [ys[index] for index in kept]
