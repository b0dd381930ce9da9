"""``tissu inspect run``: what happened in a run."""

from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from tissu_cli.flags import Given, Json, with_settings
from tissu_cli.output import Output, Sheet
from tissu_core.config.inspection import PicturesConfig
from tissu_core.events.records import to_record
from tissu_core.runs.catalog import describe_run
from tissu_core.runs.follow import read_events
from tissu_core.runs.run_directory import find_run

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import RenderableType

    from tissu_core.events.training import TrainEvent
    from tissu_core.runs.catalog import RunEntry

app = typer.Typer()


@app.command(name="run", help="Loss curve and facts of a run.")
@with_settings(("", PicturesConfig))
def run_(
    run: Annotated[
        str,
        typer.Argument(metavar="RUN", help="A run by name or directory; the newest if left out."),
    ] = "last",
    json: Json = False,
    *,
    given: Given,
) -> None:
    output, directory = Output(given, is_json=json), find_run(run)
    entry, events = describe_run(directory), read_events(directory)
    record = {**asdict(entry), "events": [to_record(event) for event in events]}
    output.show(record, partial(_draw, entry, events))


def _draw(entry: "RunEntry", events: "Sequence[TrainEvent]", sheet: Sheet) -> "RenderableType":
    from tissu_cli.render.inspect.run_report import run_report

    return run_report(entry, events, sheet.width)
