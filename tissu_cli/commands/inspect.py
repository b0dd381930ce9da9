"""``tissu inspect``: look inside a model and a run."""

from dataclasses import asdict
from typing import Annotated

import typer

from tissu_cli.flags import Given, Json, Model, resolve_settings, with_settings
from tissu_cli.render.console import data, print_json
from tissu_core.config.optimizer import OptimizerConfig
from tissu_core.events import to_record
from tissu_core.runs.catalog import describe_run
from tissu_core.runs.follow import read_events
from tissu_core.runs.run_directory import find_run

app = typer.Typer(help="Look inside a model or a run.", no_args_is_help=True)


def register(root: typer.Typer) -> None:
    """Add the commands to the tree."""
    root.add_typer(app, name="inspect", rich_help_panel="Know a model")


@app.command(
    help="Statistics and histogram of every tensor that a path such as layer.0.attn names."
)
def weights(
    path: Annotated[str, typer.Argument(help="Parts of a tensor's name: layer.0.attn, embed.")],
    model: Model = None,
    json: Json = False,
) -> None:
    from tissu_core.runs.inspect import inspect_weights

    tensors = inspect_weights(path, model)
    if json:
        print_json({"tensors": [asdict(tensor) for tensor in tensors]})
        return
    from tissu_cli.render.weights import tensor_view

    console = data()
    for tensor in tensors:
        console.print(tensor_view(tensor))


@app.command(name="run", help="Loss curve and facts of a run.")
def run_(
    run: Annotated[
        str, typer.Argument(help="A run by name or directory; the newest if left out.")
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


@app.command(help="The learning rate over a run, for the same options as train's.")
@with_settings(("", OptimizerConfig))
def schedule(
    steps: Annotated[int, typer.Option(metavar="N", min=1, help="Length of the run.")] = 1000,
    json: Json = False,
    *,
    given: Given,
) -> None:
    from tissu_core.runs.inspect import inspect_schedule

    config = resolve_settings(OptimizerConfig, given)
    found = inspect_schedule(config, steps)
    if json:
        print_json({"schedule": config.schedule, "steps": [asdict(step) for step in found]})
        return
    from tissu_cli.render.schedule_chart import schedule_chart

    console = data()
    console.print(schedule_chart(config, found, console.width))
