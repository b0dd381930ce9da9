"""``tissu inspect source``: what of a text is memory, and what invention."""

from typing import Annotated

import typer

from tissu_cli.commands.prompts import clean_argument, read_prompt
from tissu_cli.flags import Corpus, Given, Json, measure_settings, resolve_settings, with_settings
from tissu_cli.render.console import data, print_json
from tissu_cli.render.status import StatusLine, narrated
from tissu_core.config.data import ReadingConfig
from tissu_core.config.inspection import PicturesConfig
from tissu_core.events.records import to_record
from tissu_core.events.sources import TextTraced

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

    looked_in = measure_settings(corpus or [], given).data
    with StatusLine() as status:
        for event in narrated(trace_text(asked, model, looked_in, min_words), status):
            if isinstance(event, TextTraced):
                print_json(to_record(event)) if json else _show(event, given)


def _show(event: TextTraced, given: Given) -> None:
    from tissu_cli.render.pictures import save_pictures
    from tissu_cli.render.source import traced_view

    view = traced_view(event)
    data().print(view)
    save_pictures(resolve_settings(PicturesConfig, given), view)
