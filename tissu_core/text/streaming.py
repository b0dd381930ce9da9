"""Text and ids that come in chunks, in bounded memory; the result is that of the whole."""

import re
from collections.abc import Iterable, Iterator
from itertools import islice

from tissu_core.errors import InputError
from tissu_core.text.incremental_decoder import IncrementalDecoder
from tissu_core.text.tokenizer import Tokenizer

_PIECE_CHARACTERS = 1 << 16
_LONGEST_PIECE = 1 << 22
_PIECES_AT_ONCE = 16
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


def iter_encoded(tokenizer: Tokenizer, chunks: Iterable[str]) -> Iterator[list[int]]:
    """Ids of a text that comes in chunks, in pieces.

    A text is held as a whole where its parts would not give its ids: where it is normalised, or
    tokens reach across the places to cut at.
    """
    if not _can_be_cut(tokenizer):
        yield tokenizer.encode("".join(chunks))
        return
    pieces = iter_pieces(chunks)
    for first in islice(pieces, 1):
        yield tokenizer.encode(first)
    while batch := list(islice(pieces, _PIECES_AT_ONCE)):
        yield from tokenizer.encode_batch(batch, is_start=False)


def _can_be_cut(tokenizer: Tokenizer) -> bool:
    if tokenizer.is_byte_level:
        return True
    pieces = b"\0".join(tokenizer.pieces).decode("utf-8", "replace")
    return tokenizer.is_exact and not re.search(r"\n\w|\w \w", pieces)


def iter_decoded(tokenizer: Tokenizer, ids: Iterable[int]) -> Iterator[str]:
    """The text of ids, in pieces.

    Raises:
        InputError: If the vocabulary has no such id.
    """
    ids, decoder = iter(ids), IncrementalDecoder(tokenizer, is_start=True)
    while batch := list(islice(ids, _IDS_AT_ONCE)):
        for id in batch:
            if not 0 <= id < tokenizer.vocab_size:
                raise InputError(
                    f"{id} is no id of this tokenizer, which has 0 to {tokenizer.vocab_size - 1}",
                    hint="name the tokenizer that wrote the ids: -t DIR",
                )
        yield "".join(map(decoder.feed, batch))
    yield decoder.flush()
