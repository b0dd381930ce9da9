"""Histograms whose bins double in size, mirrored about zero, as a row of bars over sizes."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tissu_cli.render.braille import bars

_SHARE = 1e-3
"""Of the values of a histogram, below which its smallest sizes are not worth a column."""


def sizes(histogram: Sequence[int]) -> list[int]:
    """Counts by size alone, the smallest first: both signs together."""
    half = len(histogram) // 2
    return [a + b for a, b in zip(histogram[half:], reversed(histogram[:half]), strict=True)]


@dataclass(frozen=True, slots=True)
class SizeAxis:
    """The sizes that several histograms show: their bins from ``first`` to ``last``."""

    first: int
    last: int
    edges: tuple[float, ...]

    @classmethod
    def of(cls, histograms: Iterable[Sequence[int]], edges: tuple[float, ...]) -> "SizeAxis":
        """The axis on which all that matters of these lies."""
        firsts, lasts = [], []
        for counts in map(sizes, histograms):
            filled = [i for i, count in enumerate(counts) if count]
            telling = [i for i in filled if i and counts[i] >= _SHARE * sum(counts)]
            firsts += telling[:1]
            lasts += filled[-1:]
        return cls(min(firsts, default=0), max(lasts, default=0), edges)

    def bars(self, histogram: Sequence[int], width: int) -> str:
        """One histogram, its fullest bin a full bar; "" of nothing."""
        shown = sizes(histogram)[self.first : self.last + 1]
        return bars(shown, width).ljust(min(width, len(shown))) if any(shown) else ""

    def words(self) -> str:
        """Where the axis begins and ends."""
        half = len(self.edges) // 2
        low, high = self.edges[half + self.first], self.edges[half + self.last + 1]
        return f"sizes from {low:.2g} to {high:.2g}, by powers of two"
