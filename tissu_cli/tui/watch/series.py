"""A line that grows and never costs more to draw."""

import math
from bisect import bisect_right

_MOST = 1024  # a chart of 250 columns has dots for 500
_LONGEST_STRETCH = 256


class Series:
    """Points in the order of x. Of very many, the lowest and highest of each stretch are kept.

    The newest are all there until they make a stretch, whose length doubles when there are too
    many: so a point is looked at a few times, however long the line becomes.
    """

    def __init__(self) -> None:
        self._xs: list[float] = []
        self._ys: list[float] = []
        self._new_xs: list[float] = []
        self._new_ys: list[float] = []
        self._stretch = 1

    @property
    def xs(self) -> list[float]:
        """Where the points are."""
        return self._xs + self._new_xs

    @property
    def ys(self) -> list[float]:
        """Their values, NaN for a gap."""
        return self._ys + self._new_ys

    def add(self, x: float, y: float) -> None:
        """One more point; what is no number leaves a gap."""
        self._new_xs.append(x)
        self._new_ys.append(y if math.isfinite(y) else math.nan)
        if len(self._new_xs) >= self._stretch:
            self._keep(self._new_xs, self._new_ys)
            self._new_xs, self._new_ys = [], []
            if len(self._xs) > _MOST:
                self._halve()

    def cut(self, x: float) -> None:
        """Forget what lies behind ``x``."""
        for xs, ys in ((self._xs, self._ys), (self._new_xs, self._new_ys)):
            kept = bisect_right(xs, x)
            del xs[kept:], ys[kept:]

    @property
    def last(self) -> float:
        """The newest value; NaN before there is one."""
        ys = self._new_ys or self._ys
        return ys[-1] if ys else math.nan

    def numbers(self, since: float = 0.0) -> list[float]:
        """The values that are numbers, without the given share of the first."""
        ys = self.ys
        return [y for y in ys[int(len(ys) * since) :] if not math.isnan(y)]

    def _keep(self, xs: list[float], ys: list[float]) -> None:
        """Keep the lowest and highest of a stretch in their order; a gap where it is all one."""
        if len(xs) > 1:
            known = [index for index, y in enumerate(ys) if not math.isnan(y)] or [0]
            ends = {min(known, key=ys.__getitem__), max(known, key=ys.__getitem__)}
            xs, ys = [xs[index] for index in sorted(ends)], [ys[index] for index in sorted(ends)]
        self._xs += xs
        self._ys += ys

    def _halve(self) -> None:
        xs, ys = self._xs, self._ys
        self._xs, self._ys = [], []
        for begin in range(0, len(xs), 4):
            self._keep(xs[begin : begin + 4], ys[begin : begin + 4])
        self._stretch = min(2 * self._stretch, _LONGEST_STRETCH)
