"""``tissu inspect why``: what a step of a run read."""

from dataclasses import asdict
from typing import Annotated

import typer

from tissu_cli.flags import Given, Json, resolve_settings, with_settings
from tissu_cli.render.console import data, print_json
from tissu_core.config.inspection import PicturesConfig

app = typer.Typer()


@app.command(
    help="Why a step was what it was: the documents in its batch, the loss of each sequence and "
    "token, and what the log says. Without --step, the worst spike of the run."
)
@with_settings(("", PicturesConfig))
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
    *,
    given: Given,
) -> None:
    from tissu_core.runs.inspect.why import explain_step

    explained = explain_step(run, step)
    if json:
        print_json(asdict(explained))
        return
    from tissu_cli.render.pictures import save_pictures
    from tissu_cli.render.why import why_report

    console = data()
    console.print(why_report(explained, is_coloured=console.color_system is not None))
    save_pictures(resolve_settings(PicturesConfig, given), why_report(explained, is_coloured=True))
