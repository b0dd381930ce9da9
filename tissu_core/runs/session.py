"""A loaded model: what generate and chat talk to."""

import os
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tissu_core.config.decoding import DecodingConfig
from tissu_core.config.training import DeviceConfig
from tissu_core.errors import InputError
from tissu_core.events import ChatEvent, ContextTrimmed, GenerateEvent, Noticed
from tissu_core.runs.catalog import find_model
from tissu_core.text.chat_template import Message, Piece
from tissu_core.text.conversation import chat_pieces, encode_chat
from tissu_core.text.template_files import read_template

__all__ = ["ChatSession", "Message", "Piece", "open_chat"]

if TYPE_CHECKING:
    from tissu_core.checkpoint.model_directory import LoadedModel


class ChatSession:
    """One model, loaded once, that answers conversations.

    A model with a chat template is prompted through it; a base model continues the plain text of
    the turns. The session keeps no history: the caller owns the messages.
    """

    def __init__(self, loaded: "LoadedModel") -> None:
        self._loaded = loaded

    @property
    def path(self) -> Path:
        """The directory of the model."""
        return self._loaded.path

    @property
    def has_template(self) -> bool:
        """Whether the model was taught to converse."""
        return self._loaded.tokenizer.chat_template is not None

    @property
    def context_tokens(self) -> int:
        """The longest text the model reads at once."""
        return self._loaded.model.config.max_position_embeddings

    @property
    def notices(self) -> tuple[Noticed, ...]:
        """What a person should know of the model."""
        return self._loaded.notices

    def user_message(self, text: str) -> Message:
        """A turn of the person. A base model reads turns as lines of one text."""
        return Message(role="user", content=text)

    def assistant_message(self, text: str) -> Message:
        """A turn of the model."""
        return Message(role="assistant", content=text)

    def system_messages(self, text: str) -> list[Message]:
        """What stands before the conversation: one message, or none."""
        return [Message(role="system", content=text)] if text else []

    def count_tokens(self, messages: Sequence[Message]) -> int:
        """Tokens of the prompt that these messages make."""
        return len(self.prompt_ids(messages))

    def prompt_pieces(self, messages: Sequence[Message]) -> list[Piece]:
        """The exact text the model reads, control tokens told from what only spells them."""
        tokenizer = self._loaded.tokenizer
        if self.has_template:
            return chat_pieces(tokenizer, messages)
        opening = Piece(tokenizer.spelling(tokenizer.start_id), is_control=True)
        return [opening, Piece(_plain_text(messages), is_control=False)]

    def prompt_ids(self, messages: Sequence[Message]) -> list[int]:
        """The ids the model reads."""
        if self.has_template:
            return encode_chat(self._loaded.tokenizer, messages)
        return self._text_ids(_plain_text(messages))

    def use_template(self, given: str) -> None:
        """Prompt through another template: one of the model's own by its name, or a file.

        Raises:
            InputError: If it is neither.
        """
        tokenizer = self._loaded.tokenizer
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

    def reply(
        self, messages: Sequence[Message], settings: DecodingConfig, stop: threading.Event
    ) -> Iterator[ChatEvent]:
        """Answer the last message.

        When prompt and reply would not fit the context, the oldest turns go first, never a system
        message, and a ``ContextTrimmed`` says how many.

        Raises:
            InputError: If the last message alone fills the context.
        """
        kept = self.fit(messages, settings.max_tokens)
        if len(kept) < len(messages):
            yield ContextTrimmed(dropped=len(messages) - len(kept), kept=len(kept))
        ids = self.prompt_ids(kept)
        yield from self._generate(ids, settings, stop, is_text=not self.has_template)

    def complete(
        self, prompt: str, settings: DecodingConfig, stop: threading.Event
    ) -> Iterator[GenerateEvent]:
        """Continue a text as it is, without a template.

        Raises:
            InputError: If the text fills the context.
        """
        yield from self._generate(self._text_ids(prompt), settings, stop, is_text=True)

    def complete_all(
        self,
        prompts: Iterable[tuple[int, str | Sequence[Message]]],
        settings: DecodingConfig,
        batch_size: int,
        stop: threading.Event,
        on_refused: Callable[[int, InputError], None],
    ) -> Iterator[tuple[int, GenerateEvent]]:
        """Continue texts or answer conversations, ``batch_size`` at once, each as if alone.

        Events come with the number of their prompt. One that fills the context, or that the
        template refuses, goes to ``on_refused``; ``stop`` gives up those under way.
        """
        from tissu_core.decoding.generate import generate_all
        from tissu_core.decoding.reply import Reply

        tokenizer, end_ids = self._loaded.tokenizer, self._loaded.end_ids
        context = self.context_tokens

        def replies() -> Iterator[Reply]:
            for index, prompt in prompts:
                try:
                    if isinstance(prompt, str):
                        ids, is_text = self._text_ids(prompt), True
                    else:
                        ids, is_text = self.prompt_ids(prompt), not self.has_template
                    reply = Reply(
                        tokenizer,
                        ids,
                        settings,
                        context,
                        end_ids=end_ids,
                        index=index,
                        is_healed=is_text,
                    )
                except InputError as error:
                    on_refused(index, error)
                else:
                    yield reply

        for reply, event in generate_all(
            self._loaded.model, replies(), batch_size=batch_size, should_stop=stop.is_set
        ):
            yield reply.index, event

    def close(self) -> None:
        """Let the model go."""
        del self._loaded

    def _generate(
        self, ids: list[int], settings: DecodingConfig, stop: threading.Event, *, is_text: bool
    ) -> Iterator[GenerateEvent]:
        from tissu_core.decoding.generate import generate

        yield from generate(
            self._loaded.model,
            self._loaded.tokenizer,
            ids,
            settings,
            end_ids=self._loaded.end_ids,
            should_stop=stop.is_set,
            is_healed=is_text,
        )

    def fit(self, messages: Sequence[Message], reply_tokens: int) -> list[Message]:
        """The messages that a reply of this length leaves room for, the oldest left out first."""
        # A reply may use half of the context at most, or a long --max-tokens would leave no past.
        room = self.context_tokens - min(reply_tokens, self.context_tokens // 2)
        kept = list(messages)
        while self.count_tokens(kept) > room:
            oldest = next((i for i, m in enumerate(kept[:-1]) if m.role != "system"), None)
            if oldest is None:
                break
            del kept[oldest]
            # A conversation begins with the person: an answer without its question goes too.
            while oldest < len(kept) - 1 and kept[oldest].role == "assistant":
                del kept[oldest]
        return kept

    def _text_ids(self, text: str) -> list[int]:
        tokenizer = self._loaded.tokenizer
        return [tokenizer.start_id, *tokenizer.encode(text)]


def _plain_text(messages: Sequence[Message]) -> str:
    return "".join(message.content for message in messages)


def open_chat(model: str | None, machine: DeviceConfig) -> ChatSession:
    """Load a model by path, run, stored name, or the newest.

    Raises:
        TissuError: If there is none, or it cannot be read.
    """
    find_model(model)  # what is not there is said before torch is imported
    from tissu_core.runs.loading import load_for_use

    loaded, _ = load_for_use(model, machine)
    return ChatSession(loaded)
