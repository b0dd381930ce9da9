"""Drawing a reply while it comes."""

import sys
from collections.abc import Iterable

from tissu_cli.render import numbers
from tissu_cli.render.console import say
from tissu_cli.settings import is_terminal_stdout
from tissu_core.events.replies import (
    ChatEvent,
    ContextTrimmed,
    GenerationFinished,
    ReplyResumed,
    TokenGenerated,
)
from tissu_core.sanitize import StreamSanitizer


class ReplyWriter:
    """Writes a reply to stdout: safe to draw on a terminal, as it is into a pipe or file."""

    def __init__(self) -> None:
        self._safe = StreamSanitizer() if is_terminal_stdout() else None

    def write(self, text: str) -> None:
        """Write a piece and let it be seen."""
        sys.stdout.write(self._safe.feed(text) if self._safe else text)
        sys.stdout.flush()

    def end(self) -> None:
        """Finish the line."""
        rest = self._safe.flush() if self._safe else ""
        sys.stdout.write(rest + "\n")
        sys.stdout.flush()


def stream_reply(events: Iterable[ChatEvent]) -> GenerationFinished:
    """Draw a reply; returns how it ended."""
    writer = ReplyWriter()
    for event in events:
        match event:
            case ContextTrimmed():
                say(f"the context is full: the oldest {event.dropped} messages were left out")
            case ReplyResumed():
                writer.write("".join(event.texts))
            case TokenGenerated():
                writer.write(event.text)
            case GenerationFinished():
                writer.write(event.tail)
                writer.end()
                say_end(event)
                return event
    raise AssertionError("a reply ends with GenerationFinished")


def say_end(event: GenerationFinished) -> None:
    """Say what cut a reply, if something did."""
    if event.reason == "context":
        total = event.prompt_tokens + event.new_tokens
        say(f"the reply ends here: the model's context of {total:,} tokens is full", "dim")
    elif event.reason == "length":
        say(f"the reply ends here: {numbers.many(event.new_tokens, 'token')} (--max-tokens)", "dim")
