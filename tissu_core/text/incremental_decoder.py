"""Tokens to text while they come, never half a character."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tissu_core.text.tokenizer import Tokenizer


class IncrementalDecoder:
    """Feeds on ids, gives text; all pieces joined equal the decoding of all ids at once.

    A byte-level token may end inside a character (CJK, emoji); its bytes wait for the rest.
    """

    def __init__(self, tokenizer: "Tokenizer") -> None:
        from tokenizers.decoders import DecodeStream

        self._tokenizer = tokenizer
        self._stream = DecodeStream(skip_special_tokens=True)
        self._ids: list[int] = []
        self._given = 0

    def feed(self, token_id: int) -> str:
        """The text that this token completes; empty while a character is unfinished."""
        self._ids.append(token_id)
        text = self._stream.step(self._tokenizer.backend, token_id) or ""
        self._given += len(text)
        return text

    def flush(self) -> str:
        """What is left at the end: bytes that never became a character, as U+FFFD."""
        rest = self._tokenizer.decode(self._ids)[self._given :]
        self._given += len(rest)
        return rest
