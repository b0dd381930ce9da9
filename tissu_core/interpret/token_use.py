"""Frequencies of tokens: how varied some texts are, and how far from others. Needs no torch."""

import math
import random
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from tissu_core.events.token_use import TextVariety

Text = Sequence[int]
_SMOOTHING = 0.5
_POINTS = 40


def count_tokens(texts: Iterable[Text]) -> Counter[int]:
    """How often each id is there."""
    counts: Counter[int] = Counter()
    for text in texts:
        counts.update(text)
    return counts


def measure_variety(texts: Sequence[Text], against: Mapping[int, int]) -> TextVariety:
    """Figures of texts; ``against`` are the counts of what they are held against."""
    counts = count_tokens(texts)
    ordered = sorted(counts.values(), reverse=True)
    total = max(1, counts.total())
    return TextVariety(
        num_tokens=counts.total(),
        num_texts=len(texts),
        num_types=len(counts),
        distinct=(distinct(texts, 1), distinct(texts, 2), distinct(texts, 3)),
        entropy_bits=entropy_bits(counts),
        repetition=repetition(texts),
        divergence_bits=divergence_bits(counts, against),
        growth=_growth(texts),
        ranks=tuple((rank, ordered[rank - 1] / total) for rank in _spread(len(ordered))),
    )


def distinct(texts: Iterable[Text], n: int) -> float:
    """Different n-grams over all n-grams; 0 where there are none."""
    grams = [gram for text in texts for gram in _grams(text, n)]
    return len(set(grams)) / len(grams) if grams else 0.0


def repetition(texts: Iterable[Text], n: int = 4) -> float:
    """The share of n-grams that were in the same text before."""
    total = repeated = 0
    for text in texts:
        grams = _grams(text, n)
        total += len(grams)
        repeated += len(grams) - len(set(grams))
    return repeated / total if total else 0.0


def _grams(text: Text, n: int) -> list[tuple[int, ...]]:
    return [*zip(*(text[start:] for start in range(n)), strict=False)]


def entropy_bits(counts: Mapping[int, int]) -> float:
    """Of the distribution that these counts are."""
    total = sum(counts.values())
    shares = [count / total for count in counts.values() if count]
    return -sum(share * math.log2(share) for share in shares) if shares else 0.0


def divergence_bits(counts: Mapping[int, int], others: Mapping[int, int]) -> float:
    """The Jensen-Shannon divergence of two distributions, in [0, 1].

    Source: Lin 1991, Divergence measures based on the Shannon entropy.
    """
    total, other_total = sum(counts.values()), sum(others.values())
    if not (total and other_total):
        return 1.0 if total or other_total else 0.0
    found = 0.0
    for id in counts.keys() | others.keys():
        p, q = counts.get(id, 0) / total, others.get(id, 0) / other_total
        middle = (p + q) / 2
        found += sum(x * math.log2(x / middle) / 2 for x in (p, q) if x)
    return max(0.0, found)


def log2_ratios(
    generated: Mapping[int, int], training: Mapping[int, int], ids: Iterable[int]
) -> dict[int, float]:
    """Of each id, log2 of how often it is generated over how often it would be as in training.

    Half a time is added to both, so that few of either say little.
    """
    scale = sum(generated.values()) / max(1, sum(training.values()))
    return {
        id: math.log2(
            (generated.get(id, 0) + _SMOOTHING) / (training.get(id, 0) * scale + _SMOOTHING)
        )
        for id in ids
    }


def _growth(texts: Iterable[Text]) -> tuple[tuple[int, int], ...]:
    seen: set[int] = set()
    sizes = [0]
    for text in texts:
        for id in text:
            seen.add(id)
            sizes.append(len(seen))
    last = len(sizes) - 1
    places = dict.fromkeys(round(i * last / _POINTS) for i in range(_POINTS + 1))
    return tuple((place, sizes[place]) for place in places)


def _spread(count: int) -> list[int]:
    """Whole numbers up to ``count``, evenly spread over their logarithms."""
    if not count:
        return []
    return [*dict.fromkeys(round(count ** (i / _POINTS)) for i in range(_POINTS + 1))]


class Samples:
    """Some pieces of a long text, each as likely as any other (Vitter 1985, algorithm R)."""

    def __init__(self, lengths: Sequence[int], seed: int = 0) -> None:
        """``lengths`` of the pieces that are wanted, in tokens."""
        self._lengths = sorted(lengths, reverse=True)
        self._draw, self._kept, self._seen = random.Random(seed), list[Text](), 0

    def add(self, ids: Text) -> None:
        """A document: its pieces as long as the longest wanted, or the document if it is short."""
        size = max(1, self._lengths[0] if self._lengths else 1)
        cuts = [*range(0, max(1, len(ids) - size + 1), size)]
        for begin in cuts:
            self._seen += 1
            if len(self._kept) < len(self._lengths):
                self._kept.append(ids[begin : begin + size])
                continue
            place = self._draw.randrange(self._seen)
            if place < len(self._kept):
                self._kept[place] = ids[begin : begin + size]

    def texts(self) -> list[Text]:
        """The pieces, the longest for the longest wanted, cut to what is wanted."""
        kept = sorted(self._kept, key=len, reverse=True)
        pairs = zip(kept, self._lengths, strict=False)
        return [piece[:length] for piece, length in pairs]
