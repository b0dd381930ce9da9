"""The longest spans of a text that stand in a corpus, found with few questions to its index.

What is shown is like OLMoTrace, Liu et al. 2025, arXiv:2504.07096: spans that no longer one holds.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from tissu_core.data.verbatim_index import VerbatimIndex
from tissu_core.data.words import byte_offsets, word_spans


@dataclass(frozen=True, slots=True)
class Span:
    """Words ``first`` to ``last`` - 1 of a text."""

    first: int
    last: int


class WordedText:
    """A text and where its words stand."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.begins, self.ends = word_spans(text)
        self._bytes = text.encode()
        self._byte_begins = byte_offsets(text, self.begins)
        self._byte_ends = byte_offsets(text, self.ends)

    def __len__(self) -> int:
        """How many words there are."""
        return len(self.begins)

    def bytes_of(self, first: int, last: int) -> bytes:
        """The UTF-8 from a word's beginning to the end of that before ``last``."""
        return self._bytes[self._byte_begins[first] : self._byte_ends[last - 1]]


def iter_spans(text: WordedText, index: VerbatimIndex, min_words: int) -> Iterator[Span]:
    """Every span of at least so many words that is in no longer one, in order.

    A part of what stands there stands there too, so that each end is found by halving.
    """

    def stands(first: int, last: int) -> bool:
        return first < last <= len(text) and index.has(text.bytes_of(first, last))

    def breaks(first: int, last: int) -> bool:
        return not stands(first, last + 1)

    first = 0
    while first + min_words <= len(text):
        last = first + min_words
        if stands(first, last):
            step = 1
            while stands(first, last + step):
                last, step = last + step, 2 * step
            last = _least(last, last + step, partial(breaks, first))
            yield Span(first, last)
            last += 1  # a span that this one does not hold has the word behind it
        first = _least(first + 1, last, partial(stands, last=last))


def _least(low: int, high: int, holds: Callable[[int], bool]) -> int:
    """The least number from ``low`` on that holds, as all after it do; ``high`` if none does."""
    return low + bisect_left(range(low, high), True, key=holds)


def cover(spans: Sequence[Span]) -> list[Span]:
    """The fewest of these maximal spans, which are in order, that hold every word that all hold.

    >>> cover([Span(0, 6), Span(1, 7), Span(3, 9), Span(12, 20)])
    [Span(first=0, last=6), Span(first=3, last=9), Span(first=12, last=20)]
    """
    chosen: list[Span] = []
    reached = 0
    for number, span in enumerate(spans):
        if number + 1 < len(spans) and spans[number + 1].first <= reached:
            continue  # the next one begins early enough and reaches further
        chosen.append(span)
        reached = span.last
    return chosen
