"""The pieces of a text that a model predicts worst. Imports no torch."""

import heapq
from collections.abc import Callable
from typing import Generic, TypeVar

Piece = TypeVar("Piece")


class Worst(Generic[Piece]):
    """What costs most, so many pieces and no more in memory; of equals, the earlier."""

    def __init__(self, most: int = 0) -> None:
        self._most = most
        self._heap: list[tuple[float, int, Piece]] = []
        self._seen = 0

    def add(self, cost: float, describe: Callable[[], Piece]) -> None:
        """One more piece, described only if it is among the worst so far."""
        self._seen += 1
        rank = (cost, -self._seen)
        if len(self._heap) < self._most:
            heapq.heappush(self._heap, (*rank, describe()))
        elif self._heap and rank > self._heap[0][:2]:
            heapq.heapreplace(self._heap, (*rank, describe()))

    def pieces(self) -> tuple[Piece, ...]:
        """The worst first."""
        return tuple(piece for *_, piece in sorted(self._heap, key=lambda each: each[:2])[::-1])
