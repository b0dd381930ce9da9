"""``tissu eval speed``: how fast a model is here."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tissu_cli.flags import (
    Given,
    Json,
    Model,
    measure_settings,
    resolve_settings,
    with_settings,
)
from tissu_cli.output import Output, Sheet
from tissu_cli.render.console import say
from tissu_cli.render.status import StatusLine, narrated
from tissu_core.config.inspection import PicturesConfig
from tissu_core.config.machine import DeviceConfig
from tissu_core.config.speed import OperationsConfig, SpeedConfig
from tissu_core.errors import ConfigError, TissuError
from tissu_core.events.measures import SpeedMeasured
from tissu_core.events.operations import OperationsTimed
from tissu_core.events.records import to_record

if TYPE_CHECKING:
    from rich.console import RenderableType

    from tissu_core.config.runs import MeasureRun

app = typer.Typer()


@app.command(help="Tokens per second of a model here, from the first one on, and memory.")
@with_settings(
    ("", SpeedConfig), ("", OperationsConfig), ("machine.", DeviceConfig), ("", PicturesConfig)
)
def speed(
    model: Model = None,
    against: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="What --json wrote before; exit 1 where it is slower by a tenth."
        ),
    ] = None,
    texts: Annotated[
        list[str] | None,
        typer.Option(
            "--data",
            metavar="DATA",
            help="With --ops: what this text costs where the activation is read from a table; "
            "repeat for more.",
        ),
    ] = None,
    json: Json = False,
    *,
    given: Given,
) -> None:
    from tissu_core.runs.evaluate.speed import measure_speed, read_speed, slower_than

    output, run = Output(given, is_json=json), measure_settings(texts or (), given)
    operations = resolve_settings(OperationsConfig, given)
    if texts and not operations.names:
        raise ConfigError(
            "--data is read where --ops is asked for", field="data", hint="--ops gelu"
        )
    if operations.names:
        _time_operations(model, run, operations, output)
        return
    before = None if against is None else read_speed(against)
    events = measure_speed(model, run.machine, resolve_settings(SpeedConfig, given))
    with StatusLine() as status:
        for event in narrated(events, status):
            if isinstance(event, SpeedMeasured):
                now = event
    output.show(to_record(now), partial(_draw, now))
    slower = [] if before is None else [*slower_than(before, now)]
    for line in slower:
        say(line)
    if slower:
        raise typer.Exit(TissuError.code)


def _draw(event: SpeedMeasured, _: Sheet) -> "RenderableType":
    from tissu_cli.render.evaluate.speed import speed_view

    return speed_view(event)


def _time_operations(
    model: str | None, run: "MeasureRun", operations: OperationsConfig, output: Output
) -> None:
    from tissu_core.runs.evaluate.operations import time_operations

    events = time_operations(model, run.machine, operations, run.data)
    output.tell(events, _draw_operations)


def _draw_operations(event: OperationsTimed, _: Sheet) -> "RenderableType":
    from tissu_cli.render.evaluate.speed import operations_view

    return operations_view(event)
