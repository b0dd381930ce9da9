"""What a person sits at: models by name, a file of conversations, and the screen."""

from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tests.cli.tui.harness import Chat
from tests.scripted import ScriptedModel
from tissu_cli.sessions.conversation import Conversation, Turn
from tissu_cli.sessions.history import History
from tissu_cli.sessions.setup import Setup
from tissu_cli.tui.app import ChatApp
from tissu_core.config.chat import ChatConfig
from tissu_core.config.decoding import DecodingConfig
from tissu_core.errors import InputError

MODEL = "scripted"


@dataclass
class Desk:
    """What a person has: a file of conversations, models by name, settings."""

    folder: Path
    models: dict[str, ScriptedModel] = field(default_factory=dict)
    chat: ChatConfig = field(default_factory=ChatConfig)
    base: DecodingConfig = field(default_factory=DecodingConfig)
    copied: list[str] = field(default_factory=list)
    """What was handed to the clipboard."""
    newest: Callable[[], str] | None = None
    history: History | None = None
    """Another one than the file."""

    @property
    def file(self) -> Path:
        return self.folder / "home" / "chats.db"

    def has(self, *replies: str | Iterable[str], name: str = MODEL, **more: Any) -> ScriptedModel:
        """A model that says these: token by token, or word by word."""
        said = [_words(each) if isinstance(each, str) else [*each] for each in replies]
        self.models[name] = ScriptedModel(said, name=name, **more)
        return self.models[name]

    def setup(self, conversation: Conversation | None = None) -> Setup:
        history = self.history or History.open(self.file)
        held = conversation or Conversation()
        if conversation is not None:
            history.hold(held.id)  # as the command does; a new one is held by the screen
        return Setup(
            chat=self.chat,
            history=history,
            conversation=held,
            open_model=self.find_model,
            settings_for=lambda _: self.base,
            find_model=self.find_model,
            model_names=lambda: [*self.models],
            newest=self.newest,
        )

    def find_model(self, name: str) -> ScriptedModel:
        if (name or MODEL) not in self.models:
            raise InputError(f"there is no model {name!r}", hint="tissu models list")
        return self.models[name or MODEL]

    @asynccontextmanager
    async def open(
        self,
        conversation: Conversation | None = None,
        *,
        size: tuple[int, int] = (80, 24),
        is_ready: bool = True,
    ) -> AsyncIterator[Chat]:
        """The screen, from its first paint to its end."""
        app = ChatApp(self.setup(conversation))
        app.animation_level = "none"
        try:
            async with app.run_test(size=size, notifications=True) as pilot:
                chat = Chat(app, pilot)
                if is_ready:
                    await chat.until(lambda: app.chat.is_complete)
                    await chat.until(lambda: "◌" not in chat.status)
                yield chat
        finally:
            app.close()

    def hold(self, *said: str) -> Conversation:
        """A conversation that was held before, in the file: turn by turn, the person's first."""
        history = History.open(self.file)
        conversation = with_texts(*said)
        history.save(conversation)
        history.close()
        return conversation

    def kept(self) -> list[Conversation]:
        """What the file holds now, the newest first."""
        history = History.open(self.file)
        try:
            return [*history.all()]
        finally:
            history.close()

    def only(self) -> Conversation:
        """The one conversation that the file holds."""
        (found,) = self.kept()
        return found


def _words(text: str) -> list[str]:
    return [f"{word} " for word in text.split(" ")[:-1]] + [text.split(" ")[-1]]


def texts(conversation: Conversation) -> list[str]:
    """The shown path of a conversation."""
    return [turn.text for turn in conversation.path()]


def with_texts(*said: str) -> Conversation:
    """A conversation that was held: turn by turn, the person's first."""
    conversation = Conversation()
    for number, text in enumerate(said):
        role = "assistant" if number % 2 else "user"
        conversation.add(Turn(parent=conversation.leaf, role=role, text=text))
    return conversation


def keys(*changes: str, preset: str = "default") -> ChatConfig:
    return replace(ChatConfig(), preset=preset, keys=changes)


def let_go(models: Sequence[ScriptedModel]) -> None:
    """End whatever waits, so that a test that fails does not wait for its threads."""
    for model in models:
        for gate in (model.gate, model.load_gate):
            if gate is not None:
                gate.set()
