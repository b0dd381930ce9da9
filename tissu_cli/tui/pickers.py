"""Lists to choose from: conversations, prompts, models."""

from collections.abc import Sequence
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING

from tissu_cli.sessions.actions import export_conversation
from tissu_cli.sessions.history import History
from tissu_cli.sessions.slash import fuzzy_span
from tissu_cli.tui.dialogs import Asking, Confirming
from tissu_cli.tui.picker import Choice, Picked, Picker

if TYPE_CHECKING:
    from tissu_cli.tui.chat_layout import ChatLayout

_SHOWN = 200


def choose_conversation(screen: "ChatLayout", words: str) -> None:
    """Earlier conversations, to go on with, rename, delete or export one."""
    history = screen.talk.history

    def done(picked: Picked | None) -> None:
        if picked is None:
            return
        id, title = picked.choice.id, picked.choice.title
        match picked.deed:
            case "choose":
                screen.resume(id)
            case "rename":
                screen.app.push_screen(Asking("rename", title), lambda new: rename(id, new))
            case "delete":
                question = f"Delete “{title}”?"
                screen.app.push_screen(Confirming(question), lambda yes: delete(id, is_sure=yes))
            case "export":
                screen.attempt(lambda: export_conversation(screen.front, history.load(id), "md"))

    def rename(id: str, title: str | None) -> None:
        if title and id == screen.talk.conversation.id:
            screen.talk.conversation.title = title
        if title:
            screen.attempt(lambda: history.rename(id, title))
        choose_conversation(screen, words)

    def delete(id: str, *, is_sure: bool | None) -> None:
        if is_sure:
            screen.obey(f"/delete {id}")
        choose_conversation(screen, words)

    picker = Picker(
        "conversations", partial(_find, history), words=words, deeds=("rename", "delete", "export")
    )
    screen.app.push_screen(picker, done)


def _find(history: History, typed: str) -> Sequence[Choice]:
    if typed.strip():
        found = history.search(typed, _SHOWN)
        return [Choice(each.id, each.title, each.snippet) for each in found]
    return [
        Choice(each.id, each.title, f"{_when(each.updated)} · {each.num_messages} messages")
        for each in history.list(_SHOWN)
    ]


def search_prompts(screen: "ChatLayout") -> None:
    """What was sent before, to send it again or change it."""
    prompts = screen.talk.history.prompts(1000)

    def search(typed: str) -> Sequence[Choice]:
        found = [text for text in prompts if typed.lower() in text.lower()]
        return [Choice(text, text) for text in found[:_SHOWN]]

    def done(picked: Picked | None) -> None:
        if picked is not None:
            screen.prompt.put(picked.choice.id)

    screen.app.push_screen(Picker("what was sent", search), done)


def choose_model(screen: "ChatLayout") -> None:
    """The models of this machine, to talk to one."""
    names = screen.setup.model_names()

    def search(typed: str) -> Sequence[Choice]:
        found = [name for name in names if fuzzy_span(typed.lower(), name.lower()) is not None]
        return [Choice(name, name) for name in found]

    def done(picked: Picked | None) -> None:
        if picked is not None:
            screen.attempt(lambda: screen.front.use_model(picked.choice.id))

    screen.app.push_screen(Picker("models", search), done)


def _when(seconds: float) -> str:
    return datetime.fromtimestamp(seconds).strftime("%d %b %H:%M")
