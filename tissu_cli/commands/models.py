"""``tissu models``: what there is to talk to."""

import shlex
from dataclasses import asdict
from typing import Annotated

import typer

from tissu_cli.flags import Json, NewModel
from tissu_cli.render.console import data, print_json, say
from tissu_cli.render.status import StatusLine, narrated
from tissu_core.runs.average import ModelAveraged, average_models
from tissu_core.runs.catalog import list_models

app = typer.Typer(help="List and make models.", no_args_is_help=True)


def register(root: typer.Typer) -> None:
    """Add the commands to the tree."""
    root.add_typer(app, name="models", rich_help_panel="Ship a model")


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


@app.command(help="The mean of several models' weights, as a new model in the store.")
def average(
    models: Annotated[
        list[str],
        typer.Argument(
            metavar="MODEL...",
            help="Two or more of one architecture: a directory, a run, RUN:STEP for one of its "
            "checkpoints, a name in the store.",
        ),
    ],
    out: NewModel = "",
    json: Json = False,
) -> None:
    with StatusLine() as status:
        for made in narrated(average_models(models, out), status):
            print_json(asdict(made)) if json else _show_average(made)


def _show_average(made: ModelAveraged) -> None:
    from tissu_cli.render.tables import facts_table

    sources = [("mean of", source) for source in made.sources]
    data().print(facts_table([("model", made.name), ("path", made.path), *sources]))
    say(f"talk to it: tissu chat {shlex.quote(made.name if made.is_stored else made.path)}")
