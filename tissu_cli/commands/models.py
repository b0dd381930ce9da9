"""``tissu models``: what there is to talk to."""

from dataclasses import asdict

import typer

from tissu_cli.flags import Json
from tissu_cli.render.console import data, print_json, say
from tissu_core.runs.catalog import list_models

app = typer.Typer(help="List models.", no_args_is_help=True)


def register(root: typer.Typer) -> None:
    """Add the commands to the tree."""
    root.add_typer(app, name="models", rich_help_panel="Ship a model")


@app.callback()
def _group() -> None:
    """Keeps ``models`` a group while it has one command."""


@app.command(name="list", help="Models of runs and of the store, the newest first.")
def list_(json: Json = False) -> None:
    models = list_models()
    if json:
        print_json({"models": [asdict(model) for model in models]})
    elif not models:
        say("no models yet; make one with: tissu train --demo")
    else:
        from tissu_cli.render.tables import models_table

        data().print(models_table(models))
