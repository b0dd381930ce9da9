"""``tissu inspect activations``: what a model computes while it reads."""

from typing import TYPE_CHECKING, Annotated

import typer

from tissu_cli.commands.prompts import clean_argument
from tissu_cli.flags import (
    Given,
    Json,
    Model,
    OneLayer,
    measure_settings,
    with_settings,
)
from tissu_cli.output import Output, Sheet
from tissu_core.config.data import ReadingConfig
from tissu_core.config.inspection import PicturesConfig
from tissu_core.config.machine import DeviceConfig
from tissu_core.events.activations import ActivationsMeasured

if TYPE_CHECKING:
    from rich.console import RenderableType

app = typer.Typer()


@app.command(
    help="What each block computes while the model reads -p or --text: how large and how spread it "
    "is, massive activations, dead units, and the first NaN."
)
@with_settings(("machine.", DeviceConfig), ("data.reading.", ReadingConfig), ("", PicturesConfig))
def activations(
    model: Model = None,
    prompt: Annotated[
        str | None,
        typer.Option("-p", "--prompt", metavar="TEXT", help="What to read.", show_default=False),
    ] = None,
    text: Annotated[
        list[str] | None,
        typer.Option(metavar="DATA", help="Files and folders to read some of, instead of -p."),
    ] = None,
    layer: OneLayer = None,
    json: Json = False,
    *,
    given: Given,
) -> None:
    from tissu_core.runs.inspect.activations import inspect_activations

    output, run = Output(given, is_json=json), measure_settings(text or (), given)
    events = inspect_activations(
        model,
        prompt=None if prompt is None else clean_argument(prompt),
        layer=layer,
        data=run.data,
        machine=run.machine,
    )
    output.tell(events, _draw)


def _draw(event: ActivationsMeasured, sheet: Sheet) -> "RenderableType":
    from tissu_cli.render.inspect.activations import activations_view

    return activations_view(event, sheet.width)
