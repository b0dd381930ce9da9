"""``tissu inspect memory``: where a model's bytes go."""

from typing import TYPE_CHECKING, Annotated

import typer

from tissu_cli.flags import Given, Json, Model, resolve_settings, with_settings
from tissu_cli.output import Output, Sheet
from tissu_core.config.inspection import PicturesConfig
from tissu_core.config.machine import DeviceConfig
from tissu_core.config.runs import MeasureRun
from tissu_core.events.model_memory import MemoryCounted

if TYPE_CHECKING:
    from rich.console import RenderableType

app = typer.Typer()


@app.command(
    help="Where the bytes go: weights by part and type, the cache of keys and values, and what "
    "training takes with each optimizer; and whether that fits this machine."
)
@with_settings(("machine.", DeviceConfig), ("", PicturesConfig))
def memory(
    model: Model = None,
    context: Annotated[
        int | None,
        typer.Option(
            metavar="N", min=1, help="Tokens of a sequence; what the model reads if left out."
        ),
    ] = None,
    batch: Annotated[
        int, typer.Option(metavar="N", min=1, max=1 << 20, help="Sequences at once.")
    ] = 1,
    json: Json = False,
    *,
    given: Given,
) -> None:
    from tissu_core.runs.inspect.memory import inspect_memory

    output = Output(given, is_json=json)
    machine = resolve_settings(MeasureRun, given).machine
    events = inspect_memory(model, context=context, batch=batch, machine=machine)
    output.tell(events, _draw)


def _draw(event: MemoryCounted, sheet: Sheet) -> "RenderableType":
    from tissu_cli.render.inspect.model_memory import memory_view

    return memory_view(event, sheet.width)
