"""The tree's screen from its first picture to its end."""

from typing import TYPE_CHECKING

from tissu_cli.settings import EXIT_OK
from tissu_cli.tui.model_tree.app import ModelTreeApp
from tissu_cli.tui.shell import ended_by_signals
from tissu_cli.tui.stderr_guard import stderr_guard

if TYPE_CHECKING:
    from tissu_core.runs.inspect.tree import ModelTree


def run_tree(model: "ModelTree") -> int:
    """Show a model until the person leaves; returns the exit code.

    Raises:
        Exception: What made the screen end, if it was a bug.
    """
    with stderr_guard():
        app = ModelTreeApp(model)
        with ended_by_signals(app):
            app.run()
    if app.failure is not None:
        raise app.failure
    return app.return_code or EXIT_OK
