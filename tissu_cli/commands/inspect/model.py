"""``tissu inspect model``: what a model is made of."""

from dataclasses import asdict

import typer

from tissu_cli.flags import Json, Model
from tissu_cli.render.console import data, print_json, say_notice

app = typer.Typer()


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
