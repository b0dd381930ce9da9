"""``tissu inspect lens``: what a model would say after each of its layers."""

from typing import TYPE_CHECKING, Annotated

import typer

from tissu_cli.commands.prompts import read_prompt
from tissu_cli.flags import (
    Given,
    Json,
    Model,
    measure_settings,
    resolve_settings,
    with_settings,
)
from tissu_cli.output import Output, Sheet
from tissu_cli.render.console import data
from tissu_core.config.inspection import LensConfig, PicturesConfig
from tissu_core.config.machine import DeviceConfig
from tissu_core.events.views import LensSeen

if TYPE_CHECKING:
    from rich.console import RenderableType

app = typer.Typer()
_IN_JSON = 64
"""Tokens told of with --json, where none are asked for."""


@app.command(
    help="What a model would say after each of its layers (the logit lens): by layer and token, "
    "and where its answer first comes up. --position or --top shows the likeliest of each layer."
)
@with_settings(("", LensConfig), ("machine.", DeviceConfig), ("", PicturesConfig))
def lens(
    model: Model = None,
    prompt: Annotated[
        str | None,
        typer.Option("-p", "--prompt", help="The text to read; else stdin.", show_default=False),
    ] = None,
    json: Json = False,
    *,
    given: Given,
) -> None:
    from tissu_core.runs.inspect.lens import inspect_lens

    output, view = Output(given, is_json=json), resolve_settings(LensConfig, given)
    machine = measure_settings((), given).machine
    text = read_prompt(prompt, "tissu inspect lens")
    if json:
        fitting = _IN_JSON if view.first is view.last is None else None
    else:
        from tissu_cli.render.inspect.lens import most_positions

        fitting = most_positions(data().width)
    events = inspect_lens(model, text, view, machine, fitting=fitting)
    output.tell(events, _draw)


def _draw(seen: LensSeen, sheet: Sheet) -> "RenderableType":
    from tissu_cli.render.inspect.lens import lens_view

    return lens_view(seen, sheet.width)
