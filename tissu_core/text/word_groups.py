"""Tokens put together to words, as a person would point at them."""

import codecs
from collections.abc import Sequence
from unicodedata import east_asian_width


def group_words(pieces: Sequence[bytes]) -> list[range]:
    r"""The tokens of each word, from their bytes; a space belongs to the word behind it.

    Punctuation and lines' ends are words of their own, as is every token of a script that has no
    spaces. Tokens that are parts of one character stay together.

    >>> group_words([b"The", b" lo", b"om", b".", b"\n"])
    [range(0, 1), range(1, 3), range(3, 4), range(4, 5)]
    """
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    begins, before = [], ""
    for index, piece in enumerate(pieces):
        is_inside = bool(decoder.getstate()[0])
        text = decoder.decode(piece)
        if not is_inside and (not index or _is_begin(before, text or "\u3000")):
            begins.append(index)
        before = text[-1:] or before
    return [range(*pair) for pair in zip(begins, [*begins[1:], len(pieces)], strict=True)]


def _is_begin(before: str, text: str) -> bool:
    """Whether a word begins with ``text``, after a token that ends with ``before``."""
    first = text[0]
    if "\n" in (before, first):
        return before != first
    if before.isspace():
        return False
    if first.isspace() or _stands_alone(before) or _stands_alone(first):
        return True
    return _is_letter(before) != _is_letter(first)


def _is_letter(char: str) -> bool:
    return char.isalnum() or char in "_'\u2019"


def _stands_alone(char: str) -> bool:
    return east_asian_width(char) in "WF"
