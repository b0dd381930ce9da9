"""A loaded model: what generate and chat talk to."""

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tissu_core.config.decoding import DecodingConfig
from tissu_core.config.training import DeviceConfig
from tissu_core.errors import InputError
from tissu_core.events import ChatEvent, ContextTrimmed, GenerateEvent
from tissu_core.runs.catalog import find_model
from tissu_core.text.chat_template import Message

__all__ = ["ChatSession", "Message", "open_chat"]

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
        return len(self._prompt_ids(messages))

    def render_prompt(self, messages: Sequence[Message]) -> str:
        """The exact text the model reads, control tokens spelled out."""
        ids = self._prompt_ids(messages)
        return self._loaded.tokenizer.backend.decode(ids, skip_special_tokens=False)

    def reply(
        self, messages: Sequence[Message], settings: DecodingConfig, stop: threading.Event
    ) -> Iterator[ChatEvent]:
        """Answer the last message.

        When prompt and reply would not fit the context, the oldest turns go first, never a system
        message, and a ``ContextTrimmed`` says how many.

        Raises:
            InputError: If the last message alone fills the context.
        """
        kept = self._fit(messages, settings.max_tokens)
        if len(kept) < len(messages):
            yield ContextTrimmed(dropped=len(messages) - len(kept), kept=len(kept))
        ids = self._prompt_ids(kept)
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
        prompts: Iterable[tuple[int, str]],
        settings: DecodingConfig,
        batch_size: int,
        stop: threading.Event,
        on_refused: Callable[[int, InputError], None],
    ) -> Iterator[tuple[int, GenerateEvent]]:
        """Continue many numbered texts, ``batch_size`` at once, each as if it were alone.

        Events come with the number of their text. One that fills the context goes to
        ``on_refused``; ``stop`` gives up those under way.
        """
        from tissu_core.decoding.generate import generate_all
        from tissu_core.decoding.reply import Reply

        tokenizer, end_ids = self._loaded.tokenizer, self._loaded.end_ids
        context = self.context_tokens

        def replies() -> Iterator[Reply]:
            for index, text in prompts:
                ids = self._text_ids(text)
                try:
                    reply = Reply(
                        tokenizer,
                        ids,
                        settings,
                        context,
                        end_ids=end_ids,
                        index=index,
                        is_healed=True,
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

    def _fit(self, messages: Sequence[Message], reply_tokens: int) -> list[Message]:
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

    def _prompt_ids(self, messages: Sequence[Message]) -> list[int]:
        if self.has_template:
            return self._loaded.tokenizer.encode_chat(messages)
        return self._text_ids("".join(message.content for message in messages))

    def _text_ids(self, text: str) -> list[int]:
        tokenizer = self._loaded.tokenizer
        return [tokenizer.end_id, *tokenizer.encode(text)]


def open_chat(model: str | None, machine: DeviceConfig) -> ChatSession:
    """Load a model by path, run, stored name, or the newest.

    Raises:
        TissuError: If there is none, or it cannot be read.
    """
    find_model(model)  # what is not there is said before torch is imported
    from tissu_core.runs.loading import load_for_use

    loaded, _ = load_for_use(model, machine)
    return ChatSession(loaded)
