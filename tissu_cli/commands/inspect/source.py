"""``tissu inspect source``: what of a text is memory, and what invention."""

from typing import TYPE_CHECKING, Annotated

import typer

from tissu_cli.commands.prompts import clean_argument, read_prompt
from tissu_cli.flags import Corpus, Given, Json, measure_settings, with_settings
from tissu_cli.output import Output, Sheet
from tissu_core.config.data import ReadingConfig
from tissu_core.config.inspection import PicturesConfig
from tissu_core.events.sources import TextTraced

if TYPE_CHECKING:
    from rich.console import RenderableType

app = typer.Typer()


@app.command(
    help="The longest spans of a text that stand letter by letter in what a model has learned, and "
    "where: what is memory and what invention. The first time an index of the corpus is made."
)
@with_settings(("data.reading.", ReadingConfig), ("", PicturesConfig))
def source(
    text: Annotated[str, typer.Argument(metavar="TEXT", help="The text; - reads stdin.")],
    model: Annotated[
        str | None,
        typer.Argument(
            metavar="MODEL",
            help="A run, or a model of one, whose corpus is looked in; the newest if left out.",
            show_default=False,
        ),
    ] = None,
    corpus: Corpus = None,
    min_words: Annotated[
        int,
        typer.Option("--min", metavar="N", min=1, help="Words that a span has at least."),
    ] = 5,
    json: Json = False,
    *,
    given: Given,
) -> None:
    asked = read_prompt(None, "") if text == "-" else clean_argument(text)
    from tissu_core.runs.inspect.source import trace_text

    output = Output(given, is_json=json)
    looked_in = measure_settings(corpus or [], given).data
    output.tell(trace_text(asked, model, looked_in, min_words), _draw)


def _draw(event: TextTraced, _: Sheet) -> "RenderableType":
    from tissu_cli.render.inspect.source import traced_view

    return traced_view(event)
