"""``tissu inspect run``: what happened in a run."""

from dataclasses import asdict
from typing import Annotated

import typer

from tissu_cli.flags import Json
from tissu_cli.render.console import data, print_json
from tissu_core.events.records import to_record
from tissu_core.runs.catalog import describe_run
from tissu_core.runs.follow import read_events
from tissu_core.runs.run_directory import find_run

app = typer.Typer()


@app.command(name="run", help="Loss curve and facts of a run.")
def run_(
    run: Annotated[
        str,
        typer.Argument(metavar="RUN", help="A run by name or directory; the newest if left out."),
    ] = "last",
    json: Json = False,
) -> None:
    directory = find_run(run)
    entry, events = describe_run(directory), read_events(directory)
    if json:
        print_json({**asdict(entry), "events": [to_record(event) for event in events]})
        return
    from tissu_cli.render.run_report import run_report

    console = data()
    console.print(run_report(entry, events, console.width))
