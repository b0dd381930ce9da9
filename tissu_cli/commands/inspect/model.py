"""``tissu inspect model``: what a model is made of."""

from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING

import typer

from tissu_cli.flags import Given, Json, Model, with_settings
from tissu_cli.output import Output, Sheet
from tissu_cli.render.console import say_notice
from tissu_core.config.inspection import PicturesConfig

if TYPE_CHECKING:
    from rich.console import RenderableType

    from tissu_core.runs.inspect.model import ModelReport

app = typer.Typer()


@app.command(name="model", help="Modules, parameters, bytes and operations of a model.")
@with_settings(("", PicturesConfig))
def model_(model: Model = None, json: Json = False, *, given: Given) -> None:
    from tissu_core.runs.inspect.model import inspect_model

    output, report = Output(given, is_json=json), inspect_model(model)
    for notice in report.notices:
        say_notice(notice)
    output.show(asdict(report), partial(_draw, report))


def _draw(report: "ModelReport", _: Sheet) -> "RenderableType":
    from tissu_cli.render.inspect.model_report import model_report

    return model_report(report)
