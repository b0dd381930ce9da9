"""``tissu eval harness``: the tasks of EleutherAI's lm-evaluation-harness."""

from typing import TYPE_CHECKING, Annotated

import typer

from tissu_cli.flags import Given, Json, ModelOption, resolve_settings, with_settings
from tissu_cli.output import Output, Sheet
from tissu_core.config.harness import HarnessConfig
from tissu_core.config.inspection import PicturesConfig
from tissu_core.config.machine import DeviceConfig
from tissu_core.config.use import UseRun
from tissu_core.errors import ConfigError
from tissu_core.events.harness import HarnessFinished

if TYPE_CHECKING:
    from rich.console import RenderableType

app = typer.Typer()


@app.command(
    help="The tasks of EleutherAI's evaluation harness; needs the package lm-eval, and the data "
    "of a task, which the harness fetches unless its file names what is on this disk."
)
@with_settings(("", HarnessConfig), ("machine.", DeviceConfig), ("", PicturesConfig))
def harness(
    tasks: Annotated[
        list[str] | None,
        typer.Option("--tasks", metavar="NAME", help="A task or group; repeat, or join by commas."),
    ] = None,
    model: ModelOption = None,
    json: Json = False,
    *,
    given: Given,
) -> None:
    from tissu_core.runs.evaluate.harness import run_harness

    names = [name for each in tasks or () for name in each.split(",") if name]
    if not names:
        raise ConfigError("no task is named", field="tasks", hint="--tasks arc_easy")
    output, machine = Output(given, is_json=json), resolve_settings(UseRun, given).machine
    events = run_harness(model, names, machine, resolve_settings(HarnessConfig, given))
    output.tell(events, _draw)


def _draw(event: HarnessFinished, _: Sheet) -> "RenderableType":
    from tissu_cli.render.evaluate.harness import harness_table

    return harness_table(event)
