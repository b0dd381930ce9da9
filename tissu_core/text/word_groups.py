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
    whole = _whole_characters(pieces)
    texts = [text for _, text in whole]
    begins = [
        begin
        for (begin, text), before in zip(whole, ["", *texts], strict=False)
        if not begin or _is_begin(before[-1], text)
    ]
    return [range(*pair) for pair in zip(begins, [*begins[1:], len(pieces)], strict=False)]


def _whole_characters(pieces: Sequence[bytes]) -> list[tuple[int, str]]:
    """The fewest tokens together that cut no character: the first of each, and their text."""
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    found: list[tuple[int, str]] = []
    is_inside = False
    for index, piece in enumerate(pieces):
        begin, begun = found.pop() if is_inside else (index, "")
        found.append((begin, begun + decoder.decode(piece)))
        is_inside = bool(decoder.getstate()[0])
    return [(begin, text or "\ufffd") for begin, text in found]


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
