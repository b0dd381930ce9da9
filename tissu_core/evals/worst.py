"""The documents of a text that a model predicts worst. Imports no torch."""

import heapq
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from tissu_core.events.measures import DocumentScored

if TYPE_CHECKING:
    from tissu_core.models.score import Score

_BEGINNING = 60
"""Characters that tell documents apart."""


class Worst:
    """The documents that cost most bits per byte, so many of them and no more in memory."""

    def __init__(self, most: int = 0) -> None:
        self._most = most
        self._heap: list[tuple[float, int, DocumentScored]] = []
        self._numbers: Counter[Path] = Counter()
        self._seen = 0

    def add(self, path: Path, text: str, score: "Score") -> None:
        """One more document of a file, whose documents come in their order."""
        self._numbers[path] += 1
        self._seen += 1
        if not self._most or not score.num_bytes:
            return
        scored = DocumentScored(
            bits_per_byte=score.bits_per_byte,
            num_tokens=score.num_tokens,
            num_bytes=score.num_bytes,
            path=str(path),
            number=self._numbers[path],
            begins=" ".join(text[:_BEGINNING].split()),
        )
        push = heapq.heappush if len(self._heap) < self._most else heapq.heappushpop
        push(self._heap, (scored.bits_per_byte, -self._seen, scored))

    def documents(self) -> tuple[DocumentScored, ...]:
        """The worst first."""
        return tuple(scored for *_, scored in sorted(self._heap, reverse=True))
