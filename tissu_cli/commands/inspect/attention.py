"""``tissu inspect attention``: what each head reads of a prompt."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from tissu_cli.commands.prompts import clean_argument
from tissu_cli.flags import Given, Json, Model, measure_settings, resolve_settings, with_settings
from tissu_cli.render.console import data, print_json
from tissu_cli.render.status import StatusLine, narrated
from tissu_core.config.inspection import HeadConfig, PicturesConfig
from tissu_core.config.machine import DeviceConfig
from tissu_core.events.records import to_record
from tissu_core.events.views import AttentionSeen

app = typer.Typer()


@app.command(
    help="What each head of attention reads of a prompt: all heads by their kind, those of a "
    "--layer with a small map each, or one --head as a map of tokens. --html is a page in which "
    "heads and tokens are chosen."
)
@with_settings(("", HeadConfig), ("machine.", DeviceConfig), ("", PicturesConfig))
def attention(
    model: Model = None,
    prompt: Annotated[
        str | None,
        typer.Option(
            "-p",
            "--prompt",
            help="The text to read. Left out, it is 25 random tokens, four times over: induction "
            "heads show in it.",
            show_default=False,
        ),
    ] = None,
    json: Json = False,
    *,
    given: Given,
) -> None:
    from tissu_core.runs.inspect.attention import inspect_attention

    view = resolve_settings(HeadConfig, given)
    machine = measure_settings((), given).machine
    pictures = resolve_settings(PicturesConfig, given)
    text = None if prompt is None else clean_argument(prompt)
    has_page = pictures.html is not None and not json
    events = inspect_attention(model, text, view, machine, shows_all=has_page)
    with StatusLine() as status:
        seen: AttentionSeen = next(narrated(events, status))
    if json:
        print_json(to_record(seen))
        return
    from tissu_cli.render.attention import attention_view
    from tissu_cli.render.attention_page import attention_page
    from tissu_cli.render.pictures import WIDTH, save_picture, save_pictures

    console = data()
    console.print(attention_view(seen, view, console.width))
    save_pictures(replace(pictures, html=None), attention_view(seen, view, WIDTH))
    if pictures.html is not None:
        save_picture(Path(pictures.html), lambda: attention_page(seen))
