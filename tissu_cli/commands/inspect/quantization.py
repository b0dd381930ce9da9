"""``tissu inspect quantization``: what fewer bits would cost."""

from typing import Annotated

import typer

from tissu_cli.flags import Given, Json, Model, measure_settings, resolve_settings, with_settings
from tissu_cli.render.console import data, print_json
from tissu_cli.render.status import StatusLine, narrated
from tissu_core.config.data import ReadingConfig
from tissu_core.config.inspection import PicturesConfig
from tissu_core.config.machine import DeviceConfig
from tissu_core.events.measures import LayerRounded
from tissu_core.events.records import to_record

app = typer.Typer()


@app.command(
    help="What fewer bits would cost: the signal over the noise of rounding, and bits per byte on "
    "--text, of each layer rounded alone and of all."
)
@with_settings(("machine.", DeviceConfig), ("data.reading.", ReadingConfig), ("", PicturesConfig))
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
    from tissu_cli.render.pictures import save_pictures
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
        view = rounding_table(found)
        data().print(view)
        save_pictures(resolve_settings(PicturesConfig, given), view)
