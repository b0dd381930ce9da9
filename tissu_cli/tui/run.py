"""The screen from its first paint to its end."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from tissu_cli.sessions.setup import Setup
from tissu_cli.settings import EXIT_OK
from tissu_cli.tui.app import ChatApp
from tissu_cli.tui.stderr_guard import stderr_guard

_SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP")


def run_screen(setup: Setup) -> int:
    """Hold a conversation on the screen; returns the exit code.

    Raises:
        Exception: What made the screen end, if it was a bug.
    """
    with stderr_guard():
        app = ChatApp(setup)
        try:
            with _ended_by_signals(app):
                app.run()
        finally:
            app.close()
    if app.failure is not None:
        raise app.failure
    return app.return_code or EXIT_OK


@contextmanager
def _ended_by_signals(app: ChatApp) -> Iterator[None]:
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
