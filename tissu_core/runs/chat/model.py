"""What a conversation needs of a model, wherever that computes. Imports no torch."""

import threading
from collections.abc import Iterator, Sequence
from typing import Protocol

from tissu_core.config.decoding import DecodingConfig
from tissu_core.events.replies import (
    ChatEvent,
    ContextMeasured,
    LoadEvent,
    ModelLoaded,
    PromptShown,
)
from tissu_core.text.chat_template import Message

__all__ = ["ChatModel", "Message"]


class ChatModel(Protocol):
    """A model to talk to. It keeps no history: the caller owns the messages.

    ``load`` comes first. ``measure`` and ``show_prompt`` may be called from another thread while a
    reply is being written; ``reply`` from one thread at a time.

    Raises, in every method:
        TissuError: What went wrong, what is safe, what to type.
    """

    @property
    def facts(self) -> ModelLoaded | None:
        """What was loaded; None before."""

    def load(self) -> Iterator[LoadEvent]:
        """Make the model ready: its progress, notices, and at the end a ``ModelLoaded``."""

    def reply(
        self,
        messages: Sequence[Message],
        settings: DecodingConfig,
        stop: threading.Event,
        *,
        written: Sequence[int] | str = (),
    ) -> Iterator[ChatEvent]:
        """Answer the last message; with ``written``, go on behind that part of the answer.

        ``written`` is ids, or a text where no ids are known. Then a ``ReplyResumed`` with the text
        of each id comes first. The oldest turns are left out where the context is full, never a
        system message, and a ``ContextTrimmed`` says how many. ``stop`` ends it within a token.
        """

    def measure(self, messages: Sequence[Message], settings: DecodingConfig) -> ContextMeasured:
        """What these messages take of the context, and what would be left out."""

    def show_prompt(
        self,
        messages: Sequence[Message],
        settings: DecodingConfig,
        *,
        written: Sequence[int] | str = (),
    ) -> PromptShown:
        """The exact prompt that these messages make, without the turns that do not fit."""

    def close(self) -> None:
        """Let the model go."""
