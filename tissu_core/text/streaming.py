"""Text and ids that come in chunks, in bounded memory; the result is that of the whole."""

import re
from collections.abc import Iterable, Iterator
from itertools import islice

from tissu_core.errors import InputError
from tissu_core.text.tokenizer import Tokenizer

_PIECE_CHARACTERS = 1 << 16
_LONGEST_PIECE = 1 << 22
_IDS_AT_ONCE = 1 << 16
# No split joins the end of a line, or of a word, to the letter that begins the next.
_SAFE_CUT = re.compile(r"(?<=\S)\n(?=\w)|(?<=\w)(?= \w)")


def iter_pieces(chunks: Iterable[str]) -> Iterator[str]:
    """A text in pieces, about as long as its chunks, whose tokens, joined, are those of the whole.

    Where 4 million characters have neither a line nor a word that ends, it is cut there.
    """
    text = ""
    for chunk in chunks:
        text += chunk
        if len(text) < _PIECE_CHARACTERS:
            continue
        cut = max((found.end() for found in _SAFE_CUT.finditer(text)), default=0)
        if not cut and len(text) >= _LONGEST_PIECE:
            cut = len(text)
        if cut:
            yield text[:cut]
            text = text[cut:]
    if text:
        yield text


def iter_decoded(tokenizer: Tokenizer, ids: Iterable[int]) -> Iterator[str]:
    """The text of ids, in pieces.

    Raises:
        InputError: If the vocabulary has no such id.
    """
    ids, held = iter(ids), list[int]()
    while new := list(islice(ids, _IDS_AT_ONCE)):
        for id in new:
            if not 0 <= id < tokenizer.vocab_size:
                raise InputError(
                    f"{id} is no id of this tokenizer, which has 0 to {tokenizer.vocab_size - 1}",
                    hint="name the tokenizer that wrote the ids: -t DIR",
                )
        held += new
        cut = len(held)
        while cut and _is_open_end(tokenizer.decode(held[cut - 1 : cut])):
            cut -= 1
        yield tokenizer.decode(held[:cut])
        held = held[cut:]
    yield tokenizer.decode(held)


def _is_open_end(text: str) -> bool:
    """Whether the bytes after a token may belong to the same character."""
    return not text or text.endswith("\ufffd")
