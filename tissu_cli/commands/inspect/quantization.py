"""``tissu inspect quantization``: what fewer bits would cost."""

from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from tissu_cli.flags import Given, Json, Model, measure_settings, with_settings
from tissu_cli.output import Output, Sheet
from tissu_cli.render.status import StatusLine, narrated
from tissu_core.config.data import ReadingConfig
from tissu_core.config.inspection import PicturesConfig
from tissu_core.config.machine import DeviceConfig
from tissu_core.events.measures import LayerRounded
from tissu_core.events.records import to_record

if TYPE_CHECKING:
    from rich.console import RenderableType

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
    from tissu_core.runs.inspect.quantization import inspect_quantization

    output, run = Output(given, is_json=json), measure_settings(text or (), given)
    events = inspect_quantization(
        model, bits=bits or (), group=group, data=run.data, machine=run.machine
    )
    with StatusLine() as status:
        found: list[LayerRounded] = [*narrated(events, status)]
    output.show({"layers": [to_record(each) for each in found]}, partial(_draw, found))


def _draw(found: list[LayerRounded], _: Sheet) -> "RenderableType":
    from tissu_cli.render.inspect.rounding import rounding_table

    return rounding_table(found)
