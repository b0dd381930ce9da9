"""``tissu eval ppl``: how well a model predicts text."""

from typing import TYPE_CHECKING, Annotated

import typer

from tissu_cli.flags import Given, Json, ModelOption, measure_settings, with_settings
from tissu_cli.output import Output, Sheet
from tissu_core.config.data import ReadingConfig
from tissu_core.config.inspection import PicturesConfig
from tissu_core.config.machine import DeviceConfig
from tissu_core.events.measures import PerplexityMeasured

if TYPE_CHECKING:
    from rich.console import RenderableType

app = typer.Typer()


@app.command(name="ppl", help="Perplexity and bits per byte of a model on files and folders.")
@with_settings(("machine.", DeviceConfig), ("data.reading.", ReadingConfig), ("", PicturesConfig))
def perplexity(
    texts: Annotated[
        list[str],
        typer.Argument(metavar="DATA", help="Files and folders of text, .jsonl or .parquet."),
    ],
    model: ModelOption = None,
    stride: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="Tokens between windows; fewer give each token more to read. Default: half the "
            "context.",
        ),
    ] = None,
    context: Annotated[
        int | None,
        typer.Option(
            metavar="N", min=1, help="Tokens read at once. Default: what the model was trained on."
        ),
    ] = None,
    documents: Annotated[
        int,
        typer.Option(
            metavar="N", min=0, max=10_000, help="Name the N documents that cost most as well."
        ),
    ] = 0,
    json: Json = False,
    *,
    given: Given,
) -> None:
    from tissu_core.runs.evaluate.perplexity import measure_perplexity

    output, run = Output(given, is_json=json), measure_settings(texts, given)
    events = measure_perplexity(
        run.data, model, run.machine, context=context, stride=stride, documents=documents
    )
    output.tell(events, _draw)


def _draw(event: PerplexityMeasured, _: Sheet) -> "RenderableType":
    from tissu_cli.render.evaluate.perplexity import perplexity_view

    return perplexity_view(event)
