"""How a tokenizer writes a text, in figures."""

from collections import Counter
from dataclasses import dataclass

from tissu_core.text.tokenizer import Tokenizer

_LONGEST_SHOWN = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenizerMeasured:
    """What a tokenizer made of a text."""

    tokenizer: str
    vocab_size: int
    num_tokens: int
    num_bytes: int
    bytes_per_token: float
    tokens_per_character: float
    tokens_per_word: float
    """Fertility: tokens per word between white space; 0 for a text without words."""
    fallback_rate: float
    """Share of units (what no token crosses: a word with its space, a character) that are not in
    the vocabulary as they are and fall back to smaller tokens."""
    unused_ids: int
    longest_tokens: tuple[str, ...]
    """The longest of the text's tokens, longest first."""
    is_exact: bool
    """Whether every text came back from its ids as it was."""


class TokenizerFigures:
    """Sums over the texts that a tokenizer wrote."""

    def __init__(self, name: str, tokenizer: Tokenizer) -> None:
        self.name, self.tokenizer = name, tokenizer
        self._seen: Counter[int] = Counter()
        self._num_bytes = self._num_characters = self._num_words = 0
        self._num_units = self._num_units_in_parts = 0
        self._is_exact = True

    def add(self, text: str) -> None:
        """Tokenise a text."""
        encoding = self.tokenizer.backend.encode(text, add_special_tokens=False)
        self._seen.update(encoding.ids)
        self._num_bytes += len(text.encode())
        self._num_characters += len(text)
        self._num_words += len(text.split())
        tokens_of_unit = Counter(encoding.word_ids)
        self._num_units += len(tokens_of_unit)
        self._num_units_in_parts += sum(count > 1 for count in tokens_of_unit.values())
        self._is_exact = self._is_exact and self.tokenizer.decode(encoding.ids) == text

    def measured(self) -> TokenizerMeasured:
        """The figures of all texts so far."""
        num_tokens, pieces = self._seen.total(), self.tokenizer.pieces
        longest = sorted(self._seen, key=lambda id: (-len(pieces[id]), id))[:_LONGEST_SHOWN]
        of_text = {id for id, piece in enumerate(pieces) if piece}
        return TokenizerMeasured(
            tokenizer=self.name,
            vocab_size=self.tokenizer.vocab_size,
            num_tokens=num_tokens,
            num_bytes=self._num_bytes,
            bytes_per_token=self._num_bytes / max(1, num_tokens),
            tokens_per_character=num_tokens / max(1, self._num_characters),
            tokens_per_word=num_tokens / self._num_words if self._num_words else 0.0,
            fallback_rate=self._num_units_in_parts / max(1, self._num_units),
            unused_ids=len(of_text - self._seen.keys()),
            longest_tokens=tuple(written(pieces[id]) for id in longest),
            is_exact=self._is_exact,
        )


def written(piece: bytes) -> str:
    r"""A token's text; bytes that are only part of a character as ``\xe7``."""
    return piece.decode("utf-8", "backslashreplace")


def written_id(tokenizer: Tokenizer, id: int) -> str:
    """The text of a token; a control token as it is spelled, and ``<7>`` where there is none."""
    if id >= tokenizer.vocab_size:  # a model's matrices are often padded to more rows
        return f"<{id}>"
    piece = tokenizer.pieces[id]
    return written(piece) if piece else tokenizer.spelling(id)
