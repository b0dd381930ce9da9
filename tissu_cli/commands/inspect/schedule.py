"""``tissu inspect schedule``: the learning rate over a run."""

from dataclasses import asdict
from typing import Annotated

import typer

from tissu_cli.flags import Given, Json, resolve_settings, with_settings
from tissu_cli.render.console import data, print_json
from tissu_core.config.optimizer import OptimizerConfig
from tissu_core.config.runs import TrainRun

app = typer.Typer()


@app.command(help="The learning rate over a run, for the same options as train's.")
@with_settings(("optimizer.", OptimizerConfig))
def schedule(
    steps: Annotated[int, typer.Option(metavar="N", min=1, help="Length of the run.")] = 1000,
    json: Json = False,
    *,
    given: Given,
) -> None:
    from tissu_core.runs.inspect.inspect import inspect_schedule

    config = resolve_settings(TrainRun, given).optimizer
    found = inspect_schedule(config, steps)
    if json:
        print_json({"schedule": config.schedule, "steps": [asdict(step) for step in found]})
        return
    from tissu_cli.render.schedule_chart import schedule_chart

    console = data()
    console.print(schedule_chart(config, found, console.width))
