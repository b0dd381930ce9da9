"""``tissu inspect experts``: which experts of a mixture are asked, and by what."""

from typing import TYPE_CHECKING, Annotated

import typer

from tissu_cli.commands.prompts import clean_argument
from tissu_cli.flags import Given, Json, Model, OneLayer, measure_settings, with_settings
from tissu_cli.output import Output, Sheet
from tissu_core.config.data import ReadingConfig
from tissu_core.config.inspection import PicturesConfig
from tissu_core.config.machine import DeviceConfig
from tissu_core.events.experts import ExpertsObserved

if TYPE_CHECKING:
    from rich.console import RenderableType

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
    layer: OneLayer = None,
    json: Json = False,
    *,
    given: Given,
) -> None:
    from tissu_core.runs.inspect.experts import inspect_experts

    output, run = Output(given, is_json=json), measure_settings(text or (), given)
    events = inspect_experts(
        model,
        prompt=None if prompt is None else clean_argument(prompt),
        layer=layer,
        data=run.data,
        machine=run.machine,
    )
    output.tell(events, _draw)


def _draw(event: ExpertsObserved, sheet: Sheet) -> "RenderableType":
    from tissu_cli.render.inspect.experts import experts_view

    return experts_view(event, is_coloured=sheet.is_coloured)
