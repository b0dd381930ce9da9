"""``tissu eval compare``: models side by side on the same text."""

from typing import TYPE_CHECKING, Annotated

import typer

from tissu_cli.flags import Given, Json, measure_settings, resolve_settings, with_settings
from tissu_cli.output import Output, Sheet
from tissu_core.config.data import ReadingConfig
from tissu_core.config.inspection import PicturesConfig
from tissu_core.config.machine import DeviceConfig
from tissu_core.config.suites import SuitesConfig
from tissu_core.events.compared import ModelsCompared

if TYPE_CHECKING:
    from rich.console import RenderableType

app = typer.Typer()


@app.command(
    help="Models side by side on the same text: bits per byte, whether a difference to the first "
    "is more than chance, size and speed, and the settings in which they differ."
)
@with_settings(
    ("", SuitesConfig),
    ("machine.", DeviceConfig),
    ("data.reading.", ReadingConfig),
    ("", PicturesConfig),
)
def compare(
    models: Annotated[
        list[str],
        typer.Argument(
            metavar="MODEL",
            help="Two or more: directories, runs, RUN:STEP, names in the store; each is held "
            "against the first.",
        ),
    ],
    texts: Annotated[
        list[str],
        typer.Option(
            "--data",
            metavar="DATA",
            help="Files and folders of text, .jsonl or .parquet; repeat for more.",
        ),
    ],
    stride: Annotated[
        int | None,
        typer.Option(
            metavar="N", help="Tokens between windows. Default: half of each model's context."
        ),
    ] = None,
    context: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=1,
            help="Tokens that each model reads at once. Default: what it was trained on.",
        ),
    ] = None,
    seed: Annotated[
        int,
        typer.Option(metavar="N", min=0, help="Of the draws behind the intervals, and of --limit."),
    ] = 0,
    json: Json = False,
    *,
    given: Given,
) -> None:
    from tissu_core.runs.evaluate.compare import compare_models

    output, run = Output(given, is_json=json), measure_settings(texts, given)
    events = compare_models(
        models,
        run.data,
        run.machine,
        context=context,
        stride=stride,
        seed=seed,
        suites=resolve_settings(SuitesConfig, given),
    )
    output.tell(events, _draw)


def _draw(event: ModelsCompared, _: Sheet) -> "RenderableType":
    from tissu_cli.render.evaluate.compared import compared_view

    return compared_view(event)
