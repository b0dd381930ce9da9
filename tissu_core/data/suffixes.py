"""The suffixes of a text that begin at its words, in the order of their bytes.

Source: Manber and Myers 1993, Suffix arrays, SIAM J. Comput. 22(5): what is sorted by so many words
is sorted by twice as many with the ranks that are there. Words alone need a sixth of the places
that all bytes would.
"""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from tissu_core.data.words import Offsets

# Bytes of a UTF-8 character by its first one; of 0xFF, which separates texts, one.
_LEADS = np.repeat(np.array([1, 2, 3, 4, 1], dtype=np.int64), [0xC0, 0x20, 0x10, 8, 8])
Suffixes = npt.NDArray[np.uint32]


def sort_suffixes(text: bytes, begins: Offsets, depth: int) -> Suffixes:
    """Where the words of ``text`` begin, in the order of what follows there.

    ``begins`` rises. Suffixes whose first ``depth`` words are the same are in any order.
    """
    ranks = _ranks_of_words(text, begins)
    places = np.argsort(ranks, kind="stable")
    known = 1
    while known < depth:
        tied = _tied(ranks[places])
        if not tied.any():
            break
        slots = np.flatnonzero(tied)
        members = places[slots]
        following = members + known
        keys = ranks[members] << 32
        is_inside = following < len(begins)
        keys[is_inside] |= ranks[following[is_inside]] + 1
        order = np.argsort(keys, kind="stable")
        members, keys = members[order], keys[order]
        places[slots] = members
        is_first = np.append(True, keys[1:] != keys[:-1])
        ranks[members] = np.maximum.accumulate(np.where(is_first, slots, 0))
        known *= 2
    return begins[places].astype(np.uint32)


def _ranks_of_words(text: bytes, begins: Offsets) -> Offsets:
    """How many words come before each: of its bytes, and those up to the next word's first letter.

    With that letter none is the beginning of another, so that ranks of single words order texts.
    """
    if not len(begins):
        return begins
    first_letters = np.frombuffer(text, dtype=np.uint8)[begins[1:]]
    ends = np.append(begins[1:] + _LEADS[first_letters], len(text))

    def words() -> Iterator[bytes]:
        return map(text.__getitem__, map(slice, begins.data, ends.data))

    ranks = {word: rank for rank, word in enumerate(sorted({*words()}))}
    numbers = np.fromiter(map(ranks.__getitem__, words()), dtype=np.int64, count=len(begins))
    counts = np.bincount(numbers)
    return (np.cumsum(counts) - counts)[numbers]


def _tied(sorted_ranks: Offsets) -> npt.NDArray[np.bool_]:
    same = sorted_ranks[1:] == sorted_ranks[:-1]
    tied: npt.NDArray[np.bool_] = np.append(same, False) | np.append(False, same)
    return tied
