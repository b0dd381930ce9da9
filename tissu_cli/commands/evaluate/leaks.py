"""``tissu eval leaks``: what of an evaluation stands in the training text."""

from typing import TYPE_CHECKING, Annotated

import typer

from tissu_cli.flags import Corpus, Given, Json, measure_settings, with_settings
from tissu_cli.output import Output, Sheet
from tissu_core.config.data import ReadingConfig
from tissu_core.config.inspection import PicturesConfig
from tissu_core.config.machine import DeviceConfig
from tissu_core.events.sources import LeaksFound

if TYPE_CHECKING:
    from rich.console import RenderableType

app = typer.Typer()


@app.command(
    help="Items of suites and documents of text that share words in a row with the text a model "
    "has learned, and what it scores with and without them."
)
@with_settings(("machine.", DeviceConfig), ("data.reading.", ReadingConfig), ("", PicturesConfig))
def leaks(
    evaluations: Annotated[
        list[str],
        typer.Argument(
            metavar="SUITE|DATA", help="Suites by name or .toml file; files and folders of text."
        ),
    ],
    corpus: Corpus = None,
    model: Annotated[
        str | None,
        typer.Option(
            "-m",
            "--model",
            help="Whose corpus is looked in, and which is scored: a run, or with --corpus any "
            "model; else the newest.",
        ),
    ] = None,
    ngram: Annotated[
        int,
        typer.Option(
            metavar="N",
            min=2,
            max=64,
            help="Words in a row that make a leak, in lower case and without punctuation. Items "
            "of fewer words are one n-gram, if they have 8 or N.",
        ),
    ] = 13,
    scores: Annotated[
        bool, typer.Option("--scores/--no-scores", help="Score the model, if there is one.")
    ] = True,
    json: Json = False,
    *,
    given: Given,
) -> None:
    from tissu_core.runs.evaluate.leaks import find_leaks

    output, run = Output(given, is_json=json), measure_settings([], given)
    events = find_leaks(
        evaluations,
        model,
        data=run.data,
        corpus=measure_settings(corpus or [], given).data,
        machine=run.machine,
        ngram=ngram,
        is_scored=scores,
    )
    output.tell(events, _draw)


def _draw(event: LeaksFound, _: Sheet) -> "RenderableType":
    from tissu_cli.render.evaluate.leaks import leaks_view

    return leaks_view(event)
