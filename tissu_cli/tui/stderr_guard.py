"""While the screen is drawn, nothing else reaches the terminal.

Native libraries write to file descriptor 2 whatever Python thinks of it. Textual draws through
``sys.__stderr__``: that gets a descriptor of its own, and 2 leads to a file.
"""

import io
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import IO

from tissu_cli.render.console import say

_SHOWN_LINES = 20
_READ_BYTES = 1 << 14


class _Terminal(io.TextIOWrapper):
    """Once the terminal is gone, what is drawn is lost; Textual would wait for ever."""

    def write(self, text: str) -> int:
        with suppress(OSError):
            super().write(text)
        return len(text)

    def flush(self) -> None:
        with suppress(OSError):
            super().flush()


@contextmanager
def stderr_guard() -> Iterator[None]:
    """Draw on the terminal of stdout; the end of what stderr got is shown afterwards."""
    sys.stderr.flush()
    before, kept = os.dup(2), sys.__stderr__
    drawn = _Terminal(os.fdopen(os.dup(1), "wb"), encoding="utf-8", errors="replace", newline="")
    with tempfile.TemporaryFile() as log:
        os.dup2(log.fileno(), 2)
        sys.__stderr__ = drawn  # type: ignore[misc]
        try:
            yield
        finally:
            sys.stderr.flush()
            sys.__stderr__ = kept  # type: ignore[misc]
            os.dup2(before, 2)
            os.close(before)
            with suppress(OSError):
                drawn.close()
            _show_end(log)


def _show_end(log: IO[bytes]) -> None:
    """Show the last lines of a file."""
    size = log.seek(0, os.SEEK_END)
    log.seek(max(0, size - _READ_BYTES))
    lines = log.read().decode("utf-8", "replace").strip().splitlines()
    if size > _READ_BYTES or len(lines) > _SHOWN_LINES:
        say(f"(the last {_SHOWN_LINES} lines of what was written to stderr)", "dim")
    for line in lines[-_SHOWN_LINES:]:
        say(line)
