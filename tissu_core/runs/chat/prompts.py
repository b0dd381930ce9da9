"""How a conversation becomes what one model reads, and what of it fits. Imports no torch."""

import os
from bisect import bisect_left
from collections.abc import Sequence
from pathlib import Path

from tissu_core.config.decoding import DecodingConfig
from tissu_core.errors import InputError
from tissu_core.events.replies import ContextMeasured, PromptShown
from tissu_core.text.chat_template import Message, Piece
from tissu_core.text.conversation import chat_pieces, encode_chat
from tissu_core.text.template_files import read_template
from tissu_core.text.tokenizer import Tokenizer


class Prompts:
    """Prompts for a model with this tokenizer that reads ``context_tokens`` at once.

    A model with a chat template is prompted through it; a base model continues the plain text of
    the turns.
    """

    def __init__(self, tokenizer: Tokenizer, context_tokens: int) -> None:
        self._tokenizer, self._context_tokens = tokenizer, context_tokens

    @property
    def has_template(self) -> bool:
        """Whether the model was taught to converse."""
        return self._tokenizer.chat_template is not None

    def use_template(self, given: str) -> None:
        """Prompt through another template: one of the model's own by its name, or a file.

        Raises:
            InputError: If it is neither.
        """
        tokenizer = self._tokenizer
        if os.path.isfile(given):  # noqa: PTH113  never raises, however long the name
            tokenizer.chat_template = read_template(Path(given))
        elif given in tokenizer.chat_templates:
            tokenizer.chat_template = tokenizer.chat_templates[given]
        else:
            names = ", ".join(tokenizer.chat_templates) or "(it has none)"
            raise InputError(
                f"{given} is neither a file nor a chat template of this model",
                hint=f"--template with a file, or one of: {names}",
            )

    def pieces(self, messages: Sequence[Message]) -> list[Piece]:
        """The exact text the model reads, control tokens told from what only spells them."""
        if self.has_template:
            return chat_pieces(self._tokenizer, messages)
        opening = self._tokenizer.spelling(self._tokenizer.start_id)
        return [Piece(opening, is_control=True), Piece(_plain_text(messages), is_control=False)]

    def ids(self, messages: Sequence[Message]) -> list[int]:
        """The ids the model reads."""
        if self.has_template:
            return encode_chat(self._tokenizer, messages)
        return self.text_ids(_plain_text(messages))

    def text_ids(self, text: str) -> list[int]:
        """The ids of a text that the model continues."""
        return [self._tokenizer.start_id, *self._tokenizer.encode(text)]

    def written_ids(self, written: Sequence[int] | str) -> list[int]:
        """The ids of a begun reply."""
        if isinstance(written, str):
            return self._tokenizer.encode(written, is_start=False)
        return list(written)

    def fit(
        self, messages: Sequence[Message], settings: DecodingConfig, num_written: int = 0
    ) -> list[Message]:
        """The messages that a reply leaves room for, the oldest left out first.

        ``num_written`` tokens of the reply are there already.
        """
        room = self._context(settings) - self._reply(settings, num_written)
        fits = not messages or len(self.ids(messages)) <= room
        return list(messages) if fits else self._shorten(messages, room)

    def measure(self, messages: Sequence[Message], settings: DecodingConfig) -> ContextMeasured:
        """What these messages take of the context, and what would be left out."""
        context, reply_tokens = self._context(settings), self._reply(settings)
        prompt_tokens, room = len(self.ids(messages)) if messages else 0, context - reply_tokens
        kept = messages if prompt_tokens <= room else self._shorten(messages, room)
        return ContextMeasured(
            prompt_tokens=prompt_tokens,
            context_tokens=context,
            reply_tokens=reply_tokens,
            dropped=len(messages) - len(kept),
        )

    def show(
        self,
        messages: Sequence[Message],
        settings: DecodingConfig,
        written: Sequence[int] | str = (),
    ) -> PromptShown:
        """The exact prompt that these messages make, without what does not fit."""
        begun = self.written_ids(written)
        kept = self.fit(messages, settings, len(begun))
        pieces = [(piece.text, piece.is_control) for piece in self.pieces(kept)]
        ids = [*self.ids(kept), *begun]
        if begun:
            pieces.append((self._tokenizer.decode(begun, is_start=False), False))
        tokens = tuple(map(self._tokenizer.text_of, ids))
        return PromptShown(pieces=tuple(pieces), ids=tuple(ids), tokens=tokens)

    def _context(self, settings: DecodingConfig) -> int:
        return min(settings.context_tokens or self._context_tokens, self._context_tokens)

    def _reply(self, settings: DecodingConfig, num_written: int = 0) -> int:
        """Tokens kept free for the reply, what is written of it included."""
        # New tokens may use half of the room at most, or a long --max-tokens would leave no past.
        half = (self._context(settings) - num_written) // 2
        return num_written + min(settings.max_tokens, half)

    def _shorten(self, messages: Sequence[Message], room: int) -> list[Message]:
        """What is left when the oldest turns go that must, never a system message.

        A conversation begins with the person: an answer without its question goes too.
        """
        turns = [i for i, message in enumerate(messages[:-1]) if message.role != "system"]
        firsts = [i for i in turns[1:] if messages[i].role == "user"] + [len(messages) - 1]

        def from_turn(first: int) -> list[Message]:
            return [m for i, m in enumerate(messages) if i >= first or m.role == "system"]

        # A prompt gets shorter with each turn that goes, so halving finds the first that may stay.
        at = bisect_left(firsts, True, key=lambda first: len(self.ids(from_turn(first))) <= room)
        return from_turn(firsts[min(at, len(firsts) - 1)])


def _plain_text(messages: Sequence[Message]) -> str:
    return "".join(message.content for message in messages)
