"""``tissu init``: a project that trains as it is."""

import shlex
from pathlib import Path
from typing import Annotated

import typer

from tissu_cli.render.console import say


def register(app: typer.Typer) -> None:
    """Add the command to the tree."""
    app.command(
        rich_help_panel="Set up", help="Make a project: settings, and a small text that trains."
    )(init)


def init(
    directory: Annotated[
        Path, typer.Argument(metavar="DIR", help="A new folder, or one to add the files to.")
    ] = Path(),
) -> None:
    from tissu_core.runs.project import make_project

    for path in make_project(directory.expanduser()):
        say(f"made {path}", "dim")
    enter = "" if directory == Path() else f"cd {shlex.quote(str(directory))} && "
    say(
        f"put your text into {directory / 'corpus'}, or try it as it is:  {enter}tissu train",
        "bold",
    )
