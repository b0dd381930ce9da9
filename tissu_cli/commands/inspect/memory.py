"""``tissu inspect memory``: where a model's bytes go."""

from typing import Annotated

import typer

from tissu_cli.flags import Given, Json, Model, resolve_settings, with_settings
from tissu_cli.render.console import data, print_json
from tissu_cli.render.status import StatusLine, narrated
from tissu_core.config.inspection import PicturesConfig
from tissu_core.config.machine import DeviceConfig
from tissu_core.config.runs import MeasureRun
from tissu_core.events.model_memory import MemoryCounted
from tissu_core.events.records import to_record

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

    machine = resolve_settings(MeasureRun, given).machine
    events = inspect_memory(model, context=context, batch=batch, machine=machine)
    with StatusLine() as status:
        found: list[MemoryCounted] = [*narrated(events, status)]
    for counted in found:
        if json:
            print_json(to_record(counted))
            continue
        from tissu_cli.render.model_memory import memory_view
        from tissu_cli.render.pictures import WIDTH, save_pictures

        console = data()
        console.print(memory_view(counted, console.width))
        pictures = resolve_settings(PicturesConfig, given, is_told=False)
        save_pictures(pictures, memory_view(counted, WIDTH))
