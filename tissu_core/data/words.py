"""What counts as a word where texts are compared."""

from functools import cache

import numpy as np
import numpy.typing as npt

Offsets = npt.NDArray[np.int64]
_BETWEEN, _LETTER, _ALONE, _APOSTROPHE = range(4)
# Spaces, punctuation and signs. Marks are letters, or words of Indic scripts would be cut at them.
_BETWEEN_RANGES = (
    *((0x00, 0x2F), (0x3A, 0x40), (0x5B, 0x5E), (0x60, 0x60), (0x7B, 0xA9), (0xAB, 0xB4)),
    *((0xB6, 0xB9), (0xBB, 0xBF), (0xD7, 0xD7), (0xF7, 0xF7), (0x060C, 0x060C), (0x061B, 0x061B)),
    *((0x061F, 0x061F), (0x06D4, 0x06D4), (0x0964, 0x0965), (0x1680, 0x1680), (0x2000, 0x206F)),
    *((0x20A0, 0x20CF), (0x2190, 0x2BFF), (0x2E00, 0x2E7F), (0x3000, 0x3004), (0x3008, 0x3020)),
    *((0x3030, 0x3030), (0x30FB, 0x30FB), (0xFE30, 0xFE6F), (0xFF01, 0xFF0F), (0xFF1A, 0xFF20)),
    *((0xFF3B, 0xFF40), (0xFF5B, 0xFF65), (0x1F000, 0x1FAFF)),
)
# Letters of scripts that put no spaces between words: each counts as one.
_ALONE_RANGES = (
    *((0x0E00, 0x0EFF), (0x1000, 0x109F), (0x1780, 0x17FF), (0x3040, 0x30FA), (0x30FC, 0x30FF)),
    *((0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xF900, 0xFAFF), (0x20000, 0x3FFFF)),
)


def word_spans(text: str) -> tuple[Offsets, Offsets]:
    """Where the words of a text begin and end, in characters; an apostrophe inside cuts none.

    >>> [ends.tolist() for ends in word_spans("It's 42, 織物.")]
    [[0, 5, 9, 10], [4, 7, 10, 11]]
    """
    kinds = np.pad(_kinds()[_codes(text)], 1)
    is_letter = kinds == _LETTER
    inside = kinds[1:-1] == _APOSTROPHE
    inside &= is_letter[:-2] & is_letter[2:]
    is_letter[1:-1] |= inside
    is_alone = kinds == _ALONE
    begins = np.flatnonzero((is_letter[1:] & ~is_letter[:-1]) | is_alone[1:])
    ends = np.flatnonzero((is_letter[:-1] & ~is_letter[1:]) | is_alone[:-1])
    return begins, ends


def byte_offsets(text: str, characters: Offsets) -> Offsets:
    """Where characters begin in the UTF-8 of a text; its length is where it ends."""
    if text.isascii():
        return characters
    codes = _codes(text)
    sizes = 1 + (codes > 0x7F) + (codes > 0x7FF) + (codes > 0xFFFF)
    return np.append(0, np.cumsum(sizes, dtype=np.int64))[characters]


def _codes(text: str) -> npt.NDArray[np.uint32 | np.uint8]:
    if text.isascii():
        return np.frombuffer(text.encode("ascii"), dtype=np.uint8)
    return np.frombuffer(text.encode("utf-32-le"), dtype="<u4")


@cache
def _kinds() -> npt.NDArray[np.uint8]:
    """The kind of every character."""
    kinds = np.full(0x110000, _LETTER, dtype=np.uint8)
    for kind, ranges in ((_BETWEEN, _BETWEEN_RANGES), (_ALONE, _ALONE_RANGES)):
        for first, last in ranges:
            kinds[first : last + 1] = kind
    kinds[[0x27, 0x2019]] = _APOSTROPHE
    return kinds
