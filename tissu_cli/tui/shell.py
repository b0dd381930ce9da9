"""What every screen has around it: a driver that outlives its terminal, and signals."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from textual.app import App
from textual.driver import Driver

_SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP")


def driver_class() -> type[Driver] | None:
    """What draws on the terminal; None is Textual's own choice."""
    if os.name != "posix":
        return None
    from tissu_cli.tui.terminal_driver import TerminalDriver  # noqa: PLC0415

    return TerminalDriver


@contextmanager
def ended_by_signals(app: App[Any]) -> Iterator[None]:
    """The first signal ends the screen in good order, the second at once."""

    def end(number: int, frame: FrameType | None) -> None:
        signal.signal(number, signal.SIG_DFL)
        app.exit(return_code=128 + number)

    numbers = [getattr(signal, name) for name in _SIGNALS if hasattr(signal, name)]
    before = {number: signal.signal(number, end) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
