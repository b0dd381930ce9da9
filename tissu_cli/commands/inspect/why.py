"""``tissu inspect why``: what a step of a run read."""

from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from tissu_cli.flags import Given, Json, with_settings
from tissu_cli.output import Output, Sheet
from tissu_core.config.inspection import PicturesConfig

if TYPE_CHECKING:
    from rich.console import RenderableType

    from tissu_core.runs.inspect.why import StepExplained

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

    output, explained = Output(given, is_json=json), explain_step(run, step)
    output.show(asdict(explained), partial(_draw, explained))


def _draw(explained: "StepExplained", sheet: Sheet) -> "RenderableType":
    from tissu_cli.render.inspect.why import why_report

    return why_report(explained, is_coloured=sheet.is_coloured)
