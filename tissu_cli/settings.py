"""What the terminal is, and what an exit code means."""

import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from typing import TextIO

EXIT_OK = 0
EXIT_BUG = 1
EXIT_USAGE = 2
EXIT_HUNG_UP = 129
EXIT_INTERRUPTED = 130
EXIT_CLOSED_PIPE = 141
EXIT_TERMINATED = 143


def is_live(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether stderr is a terminal that can be redrawn.

    Not Rich's own answer: FORCE_COLOR and GITHUB_ACTIONS would turn live displays on in log files.
    """
    return (
        sys.stderr.isatty()
        and environment.get("TERM", "" if os.name == "posix" else "windows") not in ("dumb", "")
        and not environment.get("CI")
        and not environment.get("TISSU_QUIET")
    )


def discard(stream: TextIO) -> None:
    """Let what is still written to a stream whose reader is gone vanish.

    Python would otherwise complain once more when it flushes at exit.
    """
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def is_person_at_stdin() -> bool:
    """Whether somebody could be typing."""
    return sys.stdin is not None and sys.stdin.isatty()


def can_draw(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether stdout is a terminal that a screen can be drawn on."""
    term = environment.get("TERM", "" if os.name == "posix" else "windows")
    return is_terminal_stdout() and term not in ("dumb", "") and not environment.get("CI")


def is_terminal_stdout() -> bool:
    """Whether stdout is drawn for a person; otherwise it is data."""
    return sys.stdout.isatty()
