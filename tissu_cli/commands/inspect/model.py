"""``tissu inspect model``: what a model is made of."""

from dataclasses import asdict

import typer

from tissu_cli.flags import Given, Json, Model, resolve_settings, with_settings
from tissu_cli.render.console import data, print_json, say_notice
from tissu_core.config.inspection import PicturesConfig

app = typer.Typer()


@app.command(name="model", help="Modules, parameters, bytes and operations of a model.")
@with_settings(("", PicturesConfig))
def model_(model: Model = None, json: Json = False, *, given: Given) -> None:
    from tissu_core.runs.inspect.inspect import inspect_model

    report = inspect_model(model)
    if json:
        print_json(asdict(report))
        return
    for notice in report.notices:
        say_notice(notice)
    from tissu_cli.render.model_report import model_report
    from tissu_cli.render.pictures import save_pictures

    view = model_report(report)
    data().print(view)
    save_pictures(resolve_settings(PicturesConfig, given), view)
