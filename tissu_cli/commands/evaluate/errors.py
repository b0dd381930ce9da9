"""``tissu eval errors``: the passages that a model predicts worst."""

from typing import TYPE_CHECKING, Annotated

import typer

from tissu_cli.flags import (
    Given,
    Json,
    ModelOption,
    measure_settings,
    with_settings,
)
from tissu_cli.output import Output, Sheet
from tissu_core.config.data import ReadingConfig
from tissu_core.config.inspection import PicturesConfig
from tissu_core.config.machine import DeviceConfig
from tissu_core.events.compared import WorstFound

if TYPE_CHECKING:
    from rich.console import RenderableType

app = typer.Typer()


@app.command(
    help="The passages of a text that a model predicts worst, and what each of their tokens costs."
)
@with_settings(("machine.", DeviceConfig), ("data.reading.", ReadingConfig), ("", PicturesConfig))
def errors(
    texts: Annotated[
        list[str],
        typer.Argument(metavar="DATA", help="Files and folders of text, .jsonl or .parquet."),
    ],
    model: ModelOption = None,
    top: Annotated[
        int, typer.Option(metavar="N", min=1, max=10_000, help="Passages to find.")
    ] = 10,
    passage: Annotated[
        int, typer.Option(metavar="N", min=1, max=4096, help="Tokens of a passage.")
    ] = 64,
    out: Annotated[
        str | None,
        typer.Option(
            "-o",
            "--out",
            metavar="FILE",
            help="Write the passages here as well, one a line as JSON, with tokens and losses.",
        ),
    ] = None,
    stride: Annotated[
        int | None,
        typer.Option(metavar="N", help="Tokens between windows. Default: half the context."),
    ] = None,
    context: Annotated[
        int | None,
        typer.Option(
            metavar="N", min=1, help="Tokens read at once. Default: what the model was trained on."
        ),
    ] = None,
    json: Json = False,
    *,
    given: Given,
) -> None:
    from tissu_core.runs.evaluate.errors import find_worst

    output, run = Output(given, is_json=json), measure_settings(texts, given)
    events = find_worst(
        run.data,
        model,
        run.machine,
        top=top,
        passage_tokens=passage,
        context=context,
        stride=stride,
        out=out,
    )
    output.tell(events, _draw)


def _draw(event: WorstFound, sheet: Sheet) -> "RenderableType":
    from tissu_cli.render.evaluate.passages import passages_view

    return passages_view(event, is_coloured=sheet.is_coloured)
