"""What was sent: done at once, or kept until the model has time for it."""

from typing import TYPE_CHECKING

from textual.content import Content
from textual.widgets import Static

from tissu_cli.sessions.slash import is_command
from tissu_cli.sessions.turn_actions import replace_turn
from tissu_core.sanitize import sanitize_line

if TYPE_CHECKING:
    from tissu_cli.tui.chat_layout import ChatLayout

_SHOWN_CHARACTERS = 60


class Sending:
    """Takes one text after another."""

    def __init__(self, screen: "ChatLayout") -> None:
        self._screen = screen

    def take(self, text: str) -> None:
        """Do what was sent."""
        screen = self._screen
        screen.drafts.forget()
        if screen.editing is not None:
            turn = screen.editing
            screen.front.stop_editing()
            screen.attempt(lambda: replace_turn(screen.front, turn, text))
        elif is_command(text):
            screen.obey(text)
        elif screen.is_writing or screen.queued:
            screen.queued.append(text)
            self.tell_queue()
        else:
            self._say(text)

    def _say(self, text: str) -> None:
        """Send a message to the model."""
        screen = self._screen
        screen.talk.say(text)
        screen.prompt.sent = [text, *screen.prompt.sent]
        screen.transcript.follow()
        screen.attempt(lambda: screen.front.start(screen.talk.answer()))

    def send_next(self) -> None:
        """Send the first of the messages that waited."""
        screen = self._screen
        if screen.queued and not screen.is_writing:
            self._say(screen.queued.pop(0))
            self.tell_queue()

    def forget(self) -> None:
        """Drop the messages that wait."""
        self._screen.queued.clear()
        self.tell_queue()

    def tell_queue(self) -> None:
        """Draw the messages that wait."""
        line, queued = self._screen.query_one("#queue", Static), self._screen.queued
        line.display = bool(queued)
        waiting = " · ".join(sanitize_line(text)[:_SHOWN_CHARACTERS] for text in queued)
        line.update(Content.styled(f"next: {waiting}", "dim"))
