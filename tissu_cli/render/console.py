"""The two consoles: stdout is data, stderr is narration."""

import json
import sys
from typing import TYPE_CHECKING, Any

from tissu_cli.settings import is_live, is_terminal_stdout
from tissu_core.events.shared import Noticed
from tissu_core.sanitize import escape_json, sanitize_line

if TYPE_CHECKING:
    from rich.console import Console


def narration() -> "Console":
    """stderr; colour and redrawing only on a live terminal."""
    return _console(sys.stderr, is_terminal=is_live())


def data() -> "Console":
    """stdout; colour only on a terminal."""
    return _console(sys.stdout, is_terminal=is_terminal_stdout())


def _console(file: Any, *, is_terminal: bool) -> "Console":
    from rich.console import Console  # noqa: PLC0415  the slow half of `tissu --version`

    class OurConsole(Console):
        def on_broken_pipe(self) -> None:
            """Let the command end as any closed pipe ends it; Rich would exit with 1."""
            raise BrokenPipeError

    return OurConsole(
        file=file,
        force_terminal=is_terminal,
        no_color=None if is_terminal else True,
        highlight=False,
        markup=False,
        emoji=False,
        soft_wrap=not is_terminal,
    )


def say(text: object, style: str = "") -> None:
    """One line of narration, made safe to draw."""
    from rich.text import Text  # noqa: PLC0415

    narration().print(Text(sanitize_line(text), style=style), soft_wrap=True)


def say_notice(notice: Noticed) -> None:
    """What a person should know, louder if it may spoil the result."""
    say(notice.text, "yellow" if notice.level == "warning" else "dim")


def print_line(text: str) -> None:
    """One line of data, made safe to draw where it is drawn."""
    sys.stdout.write((sanitize_line(text) if is_terminal_stdout() else text) + "\n")


def print_json(value: Any) -> None:
    """One line of JSON on stdout."""
    # Escaped where stdout could not carry the letters: a stand-in would make it another value.
    is_ascii = "utf" not in (sys.stdout.encoding or "").lower()
    sys.stdout.write(escape_json(json.dumps(value, ensure_ascii=is_ascii)) + "\n")
    sys.stdout.flush()
