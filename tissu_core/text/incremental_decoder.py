"""Tokens to text while they come, never half a character."""

import codecs
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tissu_core.text.tokenizer import Tokenizer


class IncrementalDecoder:
    """Feeds on ids, gives text; all pieces joined equal the decoding of all ids at once.

    A token may end inside a character (CJK, emoji); its bytes wait for the rest. ``is_start`` tells
    that the ids begin a text, where some vocabularies have a space that is no part of it.
    """

    def __init__(self, tokenizer: "Tokenizer", *, is_start: bool = False) -> None:
        self._tokenizer = tokenizer
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._drops_space = is_start and tokenizer.drops_first_space

    def feed(self, token_id: int) -> str:
        """The text that this token completes; empty while a character is unfinished."""
        text = self._decoder.decode(self._tokenizer.piece(token_id))
        if text and self._drops_space:
            text, self._drops_space = text.removeprefix(" "), False
        return text

    def flush(self) -> str:
        """What is left at the end: bytes that never became a character, as U+FFFD."""
        return self._decoder.decode(b"", final=True)
