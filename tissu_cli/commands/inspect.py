"""``tissu inspect``: look inside a model and a run."""

from dataclasses import asdict
from typing import Annotated

import typer

from tissu_cli.flags import (
    Given,
    Json,
    Model,
    measure_settings,
    resolve_settings,
    with_settings,
)
from tissu_cli.render.console import data, print_json, say_notice
from tissu_cli.render.status import StatusLine, narrated
from tissu_core.config.data import ReadingConfig
from tissu_core.config.inspection import HistogramConfig
from tissu_core.config.machine import DeviceConfig
from tissu_core.config.optimizer import OptimizerConfig
from tissu_core.config.runs import TrainRun
from tissu_core.errors import TissuError
from tissu_core.events.measures import LayerRounded
from tissu_core.events.records import to_record
from tissu_core.runs.catalog import describe_run
from tissu_core.runs.follow import read_events
from tissu_core.runs.run_directory import find_run

app = typer.Typer(help="Look inside a model or a run.", no_args_is_help=True)
_BINS, _WIDEST = 48, 96


def register(root: typer.Typer) -> None:
    """Add the commands to the tree."""
    root.add_typer(app, name="inspect", rich_help_panel="Know a model")


@app.command(
    help="Statistics and histogram of every tensor that a path names: layer.0.attn, "
    "layers.*.mlp.*, layers.[0-3].attn, **.norm."
)
@with_settings(("", HistogramConfig))
def weights(
    path: Annotated[
        str,
        typer.Argument(metavar="TENSOR", help="Parts of a tensor's name: layer.0.attn, embed."),
    ],
    model: Model = None,
    json: Json = False,
    *,
    given: Given,
) -> None:
    from tissu_core.runs.inspect.inspect import inspect_weights

    histogram = resolve_settings(HistogramConfig, given)
    if json:
        tensors = inspect_weights(path, model, histogram.bins or _BINS)
        print_json({"tensors": [to_record(tensor) for tensor in tensors]})
        return
    from tissu_cli.render.weights import tensors_view

    console = data()
    bins = min(histogram.bins or _WIDEST, max(1, console.width - 4))
    console.print(tensors_view([*inspect_weights(path, model, bins)], histogram.rows))


@app.command(name="model", help="Modules, parameters, bytes and operations of a model.")
def model_(model: Model = None, json: Json = False) -> None:
    from tissu_core.runs.inspect.inspect import inspect_model

    report = inspect_model(model)
    if json:
        print_json(asdict(report))
        return
    for notice in report.notices:
        say_notice(notice)
    from tissu_cli.render.model_report import model_report

    data().print(model_report(report))


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


@app.command(
    help="Why a step was what it was: the documents in its batch, the loss of each sequence and "
    "token, and what the log says. Without --step, the worst spike of the run."
)
def why(
    run: Annotated[
        str,
        typer.Argument(metavar="RUN", help="A run by name or directory; the newest if left out."),
    ] = "last",
    step: Annotated[
        int | None,
        typer.Option("--step", metavar="N", min=1, help="A step of the run.", show_default=False),
    ] = None,
    json: Json = False,
) -> None:
    from tissu_core.runs.inspect.why import explain_step

    explained = explain_step(run, step)
    if json:
        print_json(asdict(explained))
        return
    from tissu_cli.render.why import why_report

    console = data()
    console.print(why_report(explained, is_coloured=console.color_system is not None))


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


@app.command(
    help="What fewer bits would cost: the signal over the noise of rounding, and bits per byte on "
    "--text, of each layer rounded alone and of all."
)
@with_settings(("machine.", DeviceConfig), ("data.reading.", ReadingConfig))
def quantization(
    model: Model = None,
    bits: Annotated[
        list[int] | None,
        typer.Option(metavar="N", min=2, max=8, help="Repeat for more. Default: 8, 6, 4, 3."),
    ] = None,
    group: Annotated[
        int, typer.Option(metavar="N", min=8, help="Weights that share a scale.")
    ] = 64,
    text: Annotated[
        list[str] | None, typer.Option(metavar="DATA", help="Text to measure bits per byte on.")
    ] = None,
    json: Json = False,
    *,
    given: Given,
) -> None:
    from tissu_cli.render.rounding import rounding_table
    from tissu_core.runs.inspect.quantization import inspect_quantization

    run = measure_settings(text or (), given)
    events = inspect_quantization(
        model, bits=bits or (), group=group, data=run.data, machine=run.machine
    )
    with StatusLine() as status:
        found: list[LayerRounded] = [*narrated(events, status)]
    if json:
        print_json({"layers": [to_record(each) for each in found]})
    else:
        data().print(rounding_table(found))


@app.command(
    help="Check that every layer's backward is the slope of its forward: finite differences in "
    "fp64. Exit 1 if one is not."
)
def gradcheck(
    module: Annotated[
        str | None,
        typer.Option(
            "--module",
            metavar="NAME",
            help="Only layers with this in their name: attention, loss.z_loss.",
            show_default=False,
        ),
    ] = None,
    json: Json = False,
) -> None:
    from tissu_core.runs.inspect.gradcheck import check_gradients

    found = check_gradients(module)
    if json:
        checks = [*found]
        are_passed = all(check.is_passed for check in checks)
        print_json({"passed": are_passed, "checks": [to_record(check) for check in checks]})
    else:
        from tissu_cli.render.gradcheck import HEADING, check_line, summary_line

        checks, console = [], data()
        for check in found:
            if not checks:
                console.print(HEADING)
            checks.append(check)
            console.print(check_line(check))
        console.print(summary_line(checks))
    if not all(check.is_passed for check in checks):
        raise typer.Exit(TissuError.code)
