"""``tissu eval speed``: how fast a model is here."""

from pathlib import Path
from typing import Annotated

import typer

from tissu_cli.flags import Given, Json, Model, resolve_settings, with_settings
from tissu_cli.render.console import data, print_json, say
from tissu_cli.render.status import StatusLine, narrated
from tissu_core.config.machine import DeviceConfig
from tissu_core.config.speed import OperationsConfig, SpeedConfig
from tissu_core.config.use import UseRun
from tissu_core.events.measures import SpeedMeasured
from tissu_core.events.records import to_record

app = typer.Typer()


@app.command(help="Tokens per second of a model here, from the first one on, and memory.")
@with_settings(("", SpeedConfig), ("", OperationsConfig), ("machine.", DeviceConfig))
def speed(
    model: Model = None,
    against: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="What --json wrote before; exit 1 where it is slower by a tenth."
        ),
    ] = None,
    json: Json = False,
    *,
    given: Given,
) -> None:
    from tissu_cli.render.speed import operations_view, speed_view
    from tissu_core.runs.evaluate.operations import time_operations
    from tissu_core.runs.evaluate.speed import measure_speed, read_speed, slower_than

    machine = resolve_settings(UseRun, given).machine
    operations = resolve_settings(OperationsConfig, given)
    if operations.names:
        with StatusLine() as status:
            (timed,) = narrated(time_operations(model, machine, operations), status)
        print_json(to_record(timed)) if json else data().print(operations_view(timed))
        return
    before = None if against is None else read_speed(against)
    events = measure_speed(model, machine, resolve_settings(SpeedConfig, given))
    with StatusLine() as status:
        for event in narrated(events, status):
            if isinstance(event, SpeedMeasured):
                now = event
    print_json(to_record(now)) if json else data().print(speed_view(now))
    slower = [] if before is None else [*slower_than(before, now)]
    for line in slower:
        say(line)
    if slower:
        raise typer.Exit(1)
