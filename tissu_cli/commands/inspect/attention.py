"""``tissu inspect attention``: what each head reads of a prompt."""

from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from tissu_cli.commands.prompts import clean_argument
from tissu_cli.flags import Given, Json, Model, measure_settings, resolve_settings, with_settings
from tissu_cli.output import Output, Sheet
from tissu_cli.render.status import StatusLine, narrated
from tissu_core.config.inspection import HeadConfig, PicturesConfig
from tissu_core.config.machine import DeviceConfig
from tissu_core.events.records import to_record
from tissu_core.events.views import AttentionSeen

if TYPE_CHECKING:
    from rich.console import RenderableType

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

    output, view = Output(given, is_json=json), resolve_settings(HeadConfig, given)
    machine = measure_settings((), given).machine
    text = None if prompt is None else clean_argument(prompt)
    has_page = output.pictures.html is not None
    events = inspect_attention(model, text, view, machine, shows_all=has_page)
    with StatusLine() as status:
        for event in narrated(events, status):
            if isinstance(event, AttentionSeen):
                output.show(to_record(event), partial(_draw, event, view), partial(_page, event))


def _draw(seen: AttentionSeen, view: HeadConfig, sheet: Sheet) -> "RenderableType":
    from tissu_cli.render.inspect.attention import attention_view

    return attention_view(seen, view, sheet.width)


def _page(seen: AttentionSeen) -> str:
    from tissu_cli.render.inspect.attention_page import attention_page

    return attention_page(seen)
