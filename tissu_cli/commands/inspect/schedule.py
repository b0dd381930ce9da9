"""``tissu inspect schedule``: the learning rate over a run."""

from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from tissu_cli.flags import Given, Json, resolve_settings, with_settings
from tissu_cli.output import Output, Sheet
from tissu_core.config.inspection import PicturesConfig
from tissu_core.config.optimizer import OptimizerConfig
from tissu_core.config.runs import TrainRun

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import RenderableType

    from tissu_core.runs.inspect.schedule import ScheduledStep

app = typer.Typer()


@app.command(help="The learning rate over a run, for the same options as train's.")
@with_settings(("optimizer.", OptimizerConfig), ("", PicturesConfig))
def schedule(
    steps: Annotated[int, typer.Option(metavar="N", min=1, help="Length of the run.")] = 1000,
    json: Json = False,
    *,
    given: Given,
) -> None:
    from tissu_core.runs.inspect.schedule import inspect_schedule

    output, config = Output(given, is_json=json), resolve_settings(TrainRun, given).optimizer
    found = inspect_schedule(config, steps)
    record = {"schedule": config.schedule, "steps": [asdict(step) for step in found]}
    output.show(record, partial(_draw, config, found))


def _draw(
    config: OptimizerConfig, found: "Sequence[ScheduledStep]", sheet: Sheet
) -> "RenderableType":
    from tissu_cli.render.inspect.schedule_chart import schedule_chart

    return schedule_chart(config, found, sheet.width)
