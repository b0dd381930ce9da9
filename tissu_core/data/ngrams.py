"""Which n-grams of some items stand in a text that streams by.

Words are compared in lower case and without what stands between them, as in Brown et al. 2020,
Language models are few-shot learners, arXiv:2005.14165, appendix C.
"""

import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import repeat

import numpy as np
import numpy.typing as npt

from tissu_core.data.corpus import BadLines, Ticks
from tissu_core.data.fingerprint import TextFile
from tissu_core.data.whole_texts import iter_whole_texts, line_in_file
from tissu_core.data.words import word_spans
from tissu_core.events.shared import Noticed, StageAdvanced
from tissu_core.events.sources import SourcePlace

NGRAM, SHORTEST = 13, 8
"""Words, as in that appendix: it takes 8 to 13, for fewer coincide by chance."""
Hashes = npt.NDArray[np.uint64]
Ids = npt.NDArray[np.int64]
_BASE = 0x9E3779B97F4A7C15
_INVERSE = pow(_BASE, -1, 1 << 64)


def plain_words(text: str) -> list[str]:
    """The words of a text, in lower case.

    >>> plain_words("«It's only cloth», she said.")
    ["it's", 'only', 'cloth', 'she', 'said']
    """
    return _plain_words(text)[0]


@dataclass(frozen=True, slots=True)
class Hit:
    """An n-gram of an item that stands in a text: where in both, in words."""

    item: int
    position: int
    at: int


@dataclass(frozen=True, slots=True)
class Leak:
    """An n-gram of an item, from word ``position`` on, and where in a corpus it stands."""

    item: int
    position: int
    place: SourcePlace


class NGrams:
    """The n-grams of items, each told when it is seen for the first time."""

    longest: int
    """Words of an n-gram, but of an item that has fewer."""

    def __init__(self, items: Iterable[Sequence[str]], n: int) -> None:
        """An item of fewer words than ``n`` is one n-gram, or none if too few for a judgement."""
        self._vocabulary: dict[str, int] = {}
        self._ids = [self._learn(words) for words in items]
        self.num_items = len(self._ids)
        self._shortest = min(SHORTEST, n)
        self.longest = n
        by_length: dict[int, list[int]] = {}
        for item, ids in enumerate(self._ids):
            if not self.is_short(item):
                by_length.setdefault(min(n, len(ids)), []).append(item)
        self._words = [*self._vocabulary]
        self._groups = [_Group(n, [(i, self._ids[i]) for i in by_length[n]]) for n in by_length]

    def _learn(self, words: Sequence[str]) -> Ids:
        known = self._vocabulary
        return np.array([known.setdefault(w, len(known) + 1) for w in words], dtype=np.int64)

    def is_short(self, item: int) -> bool:
        """Whether an item has too few words for a judgement."""
        return len(self._ids[item]) < self._shortest

    def count(self, item: int) -> int:
        """How many n-grams an item has."""
        return 0 if self.is_short(item) else max(1, len(self._ids[item]) - self.longest + 1)

    def text_of(self, item: int, position: int) -> str:
        """The words of an n-gram."""
        ids = self._ids[item][position : position + self.longest]
        return " ".join(self._words[id - 1] for id in ids)

    def ids_of(self, words: Sequence[str]) -> Ids:
        """Numbers of the words, 0 of those that no item has."""
        numbers = map(self._vocabulary.get, words, repeat(0))
        return np.fromiter(numbers, dtype=np.int64, count=len(words))

    def iter_hits(self, ids: Ids) -> Iterator[Hit]:
        """What stands in these words, and in none that were asked for before."""
        sums, unknown = _sums(ids), np.append(0, np.cumsum(ids == 0))
        for group in self._groups:
            yield from group.iter_hits(ids, sums, unknown)


class _Group:
    """All n-grams of one length, by their hashes."""

    def __init__(self, n: int, items: Sequence[tuple[int, Ids]]) -> None:
        self._n, self._ids = n, dict(items)
        hashes = [_hashes(_sums(ids), np.arange(len(ids) - n + 1), n) for _, ids in items]
        self._hashes = np.concatenate(hashes)
        order = np.argsort(self._hashes, kind="stable")
        self._hashes = self._hashes[order]
        counts = [len(each) for each in hashes]
        self._items = np.repeat([item for item, _ in items], counts)[order]
        self._positions = np.concatenate([np.arange(count) for count in counts])[order]
        self._is_new = np.ones(len(order), dtype=bool)

    def iter_hits(self, ids: Ids, sums: Hashes, unknown: Ids) -> Iterator[Hit]:
        n = self._n
        starts = np.flatnonzero(unknown[n:] == unknown[:-n])
        hashes = _hashes(sums, starts, n)
        slots = np.searchsorted(self._hashes, hashes)
        slots[slots == len(self._hashes)] = 0
        is_hit = (self._hashes[slots] == hashes) & self._is_new[slots]
        for start, slot in zip(starts[is_hit].tolist(), slots[is_hit].tolist(), strict=True):
            yield from self._first_seen(ids[start : start + n], start, slot)

    def _first_seen(self, words: Ids, start: int, slot: int) -> Iterator[Hit]:
        """The entries of one hash, from ``slot`` on, whose words are the same."""
        hash = self._hashes[slot]
        while slot < len(self._hashes) and self._hashes[slot] == hash:
            item, position = int(self._items[slot]), int(self._positions[slot])
            own = self._ids[item][position : position + self._n]
            if self._is_new[slot] and np.array_equal(own, words):
                self._is_new[slot] = False
                yield Hit(item, position, start)
            slot += 1


def _sums(ids: Ids) -> Hashes:
    """Sums of hashed words, each times a power of its place: differences are those of n-grams."""
    words = ids.astype(np.uint64) * np.uint64(0xBF58476D1CE4E5B9)
    words ^= words >> np.uint64(31)
    return np.append(np.uint64(0), np.cumsum(words * _powers(_BASE, len(ids)), dtype=np.uint64))


def _hashes(sums: Hashes, starts: Ids, n: int) -> Hashes:
    """The hash of the n-gram at each start, the same wherever it stands. Modulo 2**64."""
    return (sums[starts + n] - sums[starts]) * _powers(_INVERSE, len(sums))[starts]


def _powers(base: int, count: int) -> Hashes:
    powers = np.full(count, base, dtype=np.uint64)
    powers[:1] = 1
    return np.cumprod(powers, dtype=np.uint64)


def _plain_words(text: str) -> tuple[list[str], str, Ids]:
    """The words of a text, itself in lower case, and where in that the words begin."""
    text = text.lower()
    begins, ends = word_spans(text)
    return [*map(text.__getitem__, map(slice, begins.tolist(), ends.tolist()))], text, begins


def iter_leaks(
    files: list[TextFile], total: int, ngrams: NGrams
) -> Iterator[Leak | StageAdvanced | Noticed]:
    """Read a corpus once; each n-gram is told where it stands first. ``total`` bytes are foreseen.

    Raises:
        InputError: If too many lines of JSONL hold no text.
        IntegrityError: If a file is not what it was when it was hashed.
    """
    bad_lines, ticks, done, num_texts = BadLines(), Ticks(), 0, 0
    numbers: Counter[int] = Counter()
    for text in iter_whole_texts(files, bad_lines):
        num_texts += 1
        numbers[text.file] += 1
        lines, carried = 0, np.zeros(0, dtype=np.int64)
        for piece in text.pieces:
            words, lower, begins = _plain_words(piece)
            # The end of the piece before, so that what reaches from it into this one is seen.
            ids = np.append(carried, ngrams.ids_of(words))
            line_ends = [match.start() for match in re.finditer("\n", lower)]
            for hit in ngrams.iter_hits(ids):
                begin = int(begins[hit.at - len(carried)]) if hit.at >= len(carried) else 0
                before = lines + bisect_left(line_ends, begin)
                place = SourcePlace(
                    path=str(files[text.file].source.path),
                    text=numbers[text.file],
                    line=line_in_file(files[text.file], text.number, before),
                )
                yield Leak(hit.item, hit.position, place)
            carried = ids[max(0, len(ids) - ngrams.longest + 1) :]
            lines += len(line_ends)
            done += len(piece)
            if ticks.is_due():
                yield StageAdvanced(
                    stage="reading the corpus", done=min(done, total), total=total, unit="bytes"
                )
    yield from bad_lines.judge(num_texts)
