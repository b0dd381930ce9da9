"""The watch screen from its first picture to its end."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tissu_cli.settings import EXIT_OK
from tissu_cli.tui.shell import ended_by_signals
from tissu_cli.tui.stderr_guard import stderr_guard
from tissu_cli.tui.watch.app import WatchApp
from tissu_core.events.training import RunFinished


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """How a person left the screen."""

    exit_code: int
    directory: Path
    """Of the run that was looked at last."""
    is_over: bool
    """Whether nobody trains it any more."""
    end: RunFinished | None
    """How it ended, if it ended on its own terms."""


def run_watch(directories: Sequence[Path]) -> Watched:
    """Watch runs until the person leaves.

    Raises:
        Exception: What made the screen end, if it was a bug.
    """
    with stderr_guard():
        app = WatchApp(directories)
        with ended_by_signals(app):
            app.run()
    if app.failure is not None:
        raise app.failure
    run = app.chosen
    return Watched(
        exit_code=app.return_code or EXIT_OK,
        directory=run.directory,
        is_over=run.history.is_over,
        end=run.history.end,
    )
