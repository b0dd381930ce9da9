"""``tissu inspect experts``: which experts of a mixture are asked, and by what."""

from typing import Annotated

import typer

from tissu_cli.commands.prompts import clean_argument
from tissu_cli.flags import Given, Json, Model, measure_settings, resolve_settings, with_settings
from tissu_cli.render.console import data, print_json
from tissu_cli.render.status import StatusLine, narrated
from tissu_core.config.data import ReadingConfig
from tissu_core.config.inspection import PicturesConfig
from tissu_core.config.machine import DeviceConfig
from tissu_core.events.records import to_record

app = typer.Typer()


@app.command(
    help="Which experts of a mixture are asked: how often, how evenly, by which tokens, and which "
    "two together."
)
@with_settings(("machine.", DeviceConfig), ("data.reading.", ReadingConfig), ("", PicturesConfig))
def experts(
    model: Model = None,
    text: Annotated[
        list[str] | None, typer.Option(metavar="DATA", help="Text whose tokens are sent.")
    ] = None,
    prompt: Annotated[
        str | None, typer.Option("-p", "--prompt", help="A short text in its place.")
    ] = None,
    layer: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=0,
            help="Whose experts' tokens are drawn; the least even one if left out.",
            show_default=False,
        ),
    ] = None,
    json: Json = False,
    *,
    given: Given,
) -> None:
    from tissu_cli.render.experts import experts_view
    from tissu_cli.render.pictures import save_pictures
    from tissu_core.runs.inspect.experts import inspect_experts

    run = measure_settings(text or (), given)
    events = inspect_experts(
        model,
        prompt=None if prompt is None else clean_argument(prompt),
        data=run.data,
        machine=run.machine,
    )
    with StatusLine() as status:
        (observed,) = narrated(events, status)
    if json:
        print_json(to_record(observed))
        return
    console = data()
    console.print(experts_view(observed, layer, is_coloured=console.color_system is not None))
    save_pictures(
        resolve_settings(PicturesConfig, given), experts_view(observed, layer, is_coloured=True)
    )
