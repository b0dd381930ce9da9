"""``tissu runs``: what was trained here."""

from dataclasses import asdict
from typing import Annotated

import typer

from tissu_cli.commands.inspect.run import run_
from tissu_cli.flags import Json
from tissu_cli.render.console import data, print_json, say
from tissu_cli.render.numbers import size
from tissu_cli.settings import is_person_at_stdin
from tissu_core.errors import ConfigError
from tissu_core.runs.catalog import describe_run, list_runs, remove_run
from tissu_core.runs.run_directory import find_run
from tissu_core.sanitize import sanitize_line

app = typer.Typer(help="List, show and remove runs.", no_args_is_help=True)


def register(root: typer.Typer) -> None:
    """Add the commands to the tree."""
    root.add_typer(app, name="runs", rich_help_panel="Make a model")


@app.command(name="list", help="All runs, the newest first.")
def list_(json: Json = False) -> None:
    runs = list_runs()
    if json:
        print_json({"runs": [asdict(run) for run in runs]})
    elif not runs:
        say("no runs yet; begin with: tissu train --demo")
    else:
        from tissu_cli.render.tables import runs_table

        data().print(runs_table(runs))


app.command(name="show", help="Loss curve and facts of a run.")(run_)


@app.command(name="rm", help="Remove a run, its checkpoints and its model.")
def remove(
    run: Annotated[str, typer.Argument(metavar="RUN", help="The run's name.")],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    entry = describe_run(find_run(run))
    if not yes:
        if not is_person_at_stdin():
            raise ConfigError(
                f"removing {entry.name!r} needs a yes",
                field="yes",
                hint=f"tissu runs rm {run} --yes",
            )
        question = f"remove {entry.name} ({size(entry.num_bytes)}) in {entry.directory}?"
        typer.confirm(sanitize_line(question), abort=True, err=True)
    remove_run(run)
    say(f"removed {entry.directory}")
