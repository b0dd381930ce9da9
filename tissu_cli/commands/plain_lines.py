"""Lines that a person types, one after another, with whatever editing the terminal offers."""

import os
import sys
from collections.abc import Iterable
from contextlib import suppress

from tissu_cli.commands.prompts import clean_argument
from tissu_core.sanitize import sanitize

_PROMPT = "> "


class Lines:
    """Reads them. What is proposed stands in the next one already."""

    def __init__(self, earlier: Iterable[str]) -> None:
        """``earlier`` are those that Up brings back, the newest first."""
        self._proposed = ""
        with suppress(ImportError):
            import readline  # noqa: PLC0415  arrow keys and history in input()

            # Pasted lines are one message; a dumb terminal would show what asks for that.
            readline.parse_and_bind(f"set enable-bracketed-paste {'off' if is_dumb() else 'on'}")
            for text in reversed([*earlier]):
                readline.add_history(sanitize(text).replace("\n", " "))

            def propose() -> None:
                readline.insert_text(sanitize(self._proposed).replace("\n", " "))
                self._proposed = ""

            readline.set_startup_hook(propose)

    def propose(self, text: str) -> None:
        """Put a text where the person types next."""
        self._proposed = text

    def read(self) -> str:
        """The next line.

        Raises:
            EOFError: If there is none.
            KeyboardInterrupt: If Ctrl-C was pressed instead.
        """
        try:
            return clean_argument(input(_PROMPT))
        except (EOFError, KeyboardInterrupt):
            sys.stdout.write("\n")
            raise


def is_dumb() -> bool:
    """Whether the terminal is known to take nothing but text."""
    return os.environ.get("TERM", "") in ("dumb", "")
