"""Ctrl-C, SIGTERM and a closed terminal: asked once, obeyed at the next safe point."""

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any

from tissu_cli.render.console import say


class Signals:
    """While entered: the first stop signal sets ``stop``, the second leaves at once.

    ``exit_code`` is 128 + the signal, or 0. SIGHUP sets ``is_hung_up`` and stops nothing.
    """

    def __init__(self) -> None:
        self.stop = threading.Event()
        self.exit_code = 0
        self.is_hung_up = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> "Signals":
        self._take(signal.SIGINT, self._ask)
        self._take(signal.SIGTERM, self._ask)
        if hasattr(signal, "SIGHUP"):
            self._take(signal.SIGHUP, self._hang_up)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _take(self, number: int, handler: Callable[[int, FrameType | None], None]) -> None:
        self._before[number] = signal.signal(number, handler)

    def _ask(self, number: int, frame: FrameType | None) -> None:
        if self.stop.is_set():
            if sys.stderr.isatty():
                os.write(2, b"\x1b[?25h\n")  # a live display hides the cursor
            os._exit(128 + number)
        self.exit_code = 128 + number
        self.stop.set()

    def _hang_up(self, number: int, frame: FrameType | None) -> None:
        self.is_hung_up = True


@contextmanager
def resumable() -> Iterator[None]:
    """Say of a download that Ctrl-C ends that nothing of it is lost."""
    try:
        yield
    except KeyboardInterrupt:
        say("stopped; the same command goes on from there", "dim")
        raise
