"""The screen from its first paint to its end."""

from tissu_cli.sessions.setup import Setup
from tissu_cli.settings import EXIT_OK
from tissu_cli.tui.app import ChatApp
from tissu_cli.tui.shell import ended_by_signals
from tissu_cli.tui.stderr_guard import stderr_guard


def run_screen(setup: Setup) -> int:
    """Hold a conversation on the screen; returns the exit code.

    Raises:
        Exception: What made the screen end, if it was a bug.
    """
    with stderr_guard():
        app = ChatApp(setup)
        try:
            with ended_by_signals(app):
                app.run()
        finally:
            app.close()
    if app.failure is not None:
        raise app.failure
    return app.return_code or EXIT_OK
