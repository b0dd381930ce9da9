"""The chat screen in front of scripted models, used and looked at as a person would."""

import asyncio
import time
from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any

from textual import events
from textual.keys import key_to_character
from textual.pilot import Pilot
from textual.screen import Screen
from textual.widgets import Input, OptionList, Static

from tissu_cli.sessions.conversation import Conversation, Turn
from tissu_cli.tui.app import ChatApp

PATIENCE_SECONDS = 10.0
_POLL_SECONDS = 0.004
_HOPS = 4
"""From the terminal to the app, to a widget, up to a binding, to what it asks for."""


def played(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """A test that is a coroutine, as pytest wants it."""

    @wraps(test)
    def run(*args: Any, **kwargs: Any) -> None:
        asyncio.run(test(*args, **kwargs))

    return run


class Chat:
    """A screen that is shown."""

    def __init__(self, app: ChatApp, pilot: Pilot[None]) -> None:
        self.app, self.pilot = app, pilot

    async def until(self, holds: Callable[[], object], what: str = "") -> None:
        """Wait for something to be so."""
        patience = time.monotonic() + PATIENCE_SECONDS
        while not holds():
            if time.monotonic() > patience:
                raise AssertionError("\n".join([f"it never came: {what or holds}", *self.lines()]))
            if self.app._exception is not None:
                raise self.app._exception
            await asyncio.sleep(_POLL_SECONDS)  # a tenth of the work of pilot.pause
        await self.pilot.pause(0)

    async def press(self, *keys: str) -> None:
        """Press keys, each after the last one did what it does."""
        for key in keys:
            self.app.post_message(events.Key(key, key_to_character(key)))
            for _ in range(_HOPS):
                await self.pilot._wait_for_screen()
        await self.pilot.pause(0)

    async def type(self, text: str, *then: str) -> None:
        """Type as fast as a terminal hands it over: nothing is drawn between the keys."""
        for character in text:
            self.app.post_message(events.Key(_KEYS.get(character, character), character))
        for key in then:
            self.app.post_message(events.Key(key, None))
        await self.pilot.pause(0)

    async def paste(self, text: str) -> None:
        self.app.post_message(events.Paste(text))
        await self.pilot.pause(0)

    async def send(self, text: str) -> None:
        """Type and send; the screen is ready to have it."""
        await self.until(lambda: self.app.chat.is_complete)
        await self.type(text)
        await self.until(lambda: self.app.chat.prompt.full_text == text, text)
        await self.pilot.pause(0)
        if self.suggested:
            await self.press("escape")
        await self.press("enter")

    async def ask(self, text: str) -> None:
        """Send a message, and wait for the end of its reply."""
        count = sum(turn.role == "assistant" for turn in self.conversation.turns.values())
        await self.send(text)
        await self.until(
            lambda: sum(t.role == "assistant" for t in self.conversation.turns.values()) > count
        )
        await self.rest()

    async def rest(self) -> None:
        """Wait until nothing is written or waits, and all of it is drawn."""
        await self.until(lambda: not self.app.chat.is_writing and not self.app.chat.queued)
        await self.until(lambda: not self.app.chat.engine.reports)
        await self.until(lambda: self.texts == [turn.text for turn in self.conversation.path()])

    async def settled(self) -> None:
        """Wait until two looks at the screen, some frames apart, see the same."""
        seen: list[str] = []
        while seen != self.lines():
            seen = self.lines()
            await self.pilot.pause(0.1)

    # What a person sees.

    @property
    def conversation(self) -> Conversation:
        return self.app.chat.talk.conversation

    @property
    def path(self) -> list[Turn]:
        return self.conversation.path()

    @property
    def texts(self) -> list[str]:
        """The text of each turn that is drawn."""
        return [view.body.text for view in self.app.chat.transcript.views]

    @property
    def facts(self) -> list[str]:
        """The line below each turn; "" where there is none."""
        views = self.app.chat.transcript.views
        lines = [view.query_one(".facts", Static) for view in views]
        return [str(line.content) if line.display else "" for line in lines]

    @property
    def status(self) -> str:
        return str(self.app.chat.query_one("#status-line", Static).content)

    @property
    def top(self) -> str:
        return str(self.app.chat.query_one("#top-line", Static).content)

    @property
    def queue(self) -> str:
        line = self.app.chat.query_one("#queue", Static)
        return str(line.content) if line.display else ""

    @property
    def typed(self) -> str:
        return self.app.chat.prompt.text

    @property
    def notices(self) -> list[str]:
        """What the screen told lately, the newest last."""
        return [notice.message for notice in self.app._notifications]

    @property
    def suggested(self) -> list[str]:
        popup = self.app.chat.suggestion_list
        return [each.text for each in popup._found] if popup.display else []

    @property
    def screen(self) -> Screen[Any]:
        return self.app.screen

    @property
    def is_over(self) -> bool:
        """Whether another screen is over the conversation."""
        return self.app.screen is not self.app.chat

    def lines(self) -> list[str]:
        """The rows of the terminal."""
        strips = self.app.screen._compositor.render_strips()
        return ["".join(segment.text for segment in strip).rstrip() for strip in strips]

    def shows(self, text: str) -> bool:
        """Whether a row of the terminal holds a text."""
        return any(text in line for line in self.lines())

    @property
    def options(self) -> list[str]:
        """The rows of the list that is open."""
        found = self.app.screen.query_one(OptionList)
        return [str(option.prompt) for option in found.options]

    async def told(self, text: str) -> None:
        """Wait for a notice."""
        await self.until(lambda: any(text in notice for notice in self.notices), text)

    async def opened(self, text: str = "") -> None:
        """Wait for a screen over the conversation, which shows a text."""
        await self.until(lambda: self.is_over and self.shows(text), text)

    async def back(self) -> None:
        """Leave a screen that is over the conversation."""
        await self.press("escape")
        await self.until(lambda: not self.is_over)

    async def fill(self, text: str) -> None:
        """Write a text into the field that has the focus."""
        field = self.app.screen.focused
        assert isinstance(field, Input)
        field.value = text
        await self.pilot.pause(0)


_KEYS = {
    "\r": "enter",
    "\n": "ctrl+j",
    " ": "space",
    "/": "slash",
    "=": "equals_sign",
    "-": "minus",
}


def version(number: int, total: int) -> str:
    """What stands below a turn that has siblings."""
    return f"‹{number}/{total}›"  # noqa: RUF001  meant
