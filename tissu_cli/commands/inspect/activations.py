"""``tissu inspect activations``: what a model computes while it reads."""

from typing import Annotated

import typer

from tissu_cli.flags import (
    Given,
    Json,
    Model,
    OneLayer,
    measure_settings,
    resolve_settings,
    with_settings,
)
from tissu_cli.render.console import data, print_json
from tissu_cli.render.status import StatusLine, narrated
from tissu_core.config.data import ReadingConfig
from tissu_core.config.inspection import PicturesConfig
from tissu_core.config.machine import DeviceConfig
from tissu_core.events.activations import ActivationsMeasured
from tissu_core.events.records import to_record

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

    run = measure_settings(text or (), given)
    events = inspect_activations(
        model, prompt=prompt, layer=layer, data=run.data, machine=run.machine
    )
    with StatusLine() as status:
        found: list[ActivationsMeasured] = [*narrated(events, status)]
    for measured in found:
        if json:
            print_json(to_record(measured))
            continue
        from tissu_cli.render.activations import activations_view
        from tissu_cli.render.pictures import WIDTH, save_pictures

        console = data()
        console.print(activations_view(measured, console.width))
        pictures = resolve_settings(PicturesConfig, given)
        save_pictures(pictures, activations_view(measured, WIDTH))
