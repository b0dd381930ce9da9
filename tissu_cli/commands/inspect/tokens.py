"""``tissu inspect tokens``: which tokens a model writes, against those of its text."""

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from tissu_cli.flags import Given, Json, Model, measure_settings, resolve_settings, with_settings
from tissu_cli.output import Output, Sheet
from tissu_core.config.data import ReadingConfig
from tissu_core.config.inspection import PicturesConfig
from tissu_core.config.use import UseRun
from tissu_core.events.token_use import TokensMeasured

if TYPE_CHECKING:
    from rich.console import RenderableType

app = typer.Typer()


@app.command(
    help="Tokens that a model writes, counted against its training text: which it uses too often "
    "and too rarely, how varied its texts are, which it never uses."
)
@with_settings(("", UseRun), ("data.reading.", ReadingConfig), ("", PicturesConfig))
def tokens(
    model: Model = None,
    against: Annotated[
        list[str] | None,
        typer.Option(
            metavar="CORPUS", help="The training text; that of the run if MODEL is of one."
        ),
    ] = None,
    generated: Annotated[
        list[str] | None,
        typer.Option(metavar="FILE", help="Text that the model wrote, instead of samples."),
    ] = None,
    samples: Annotated[
        int, typer.Option(metavar="N", min=1, max=100_000, help="Texts that the model writes.")
    ] = 16,
    top: Annotated[
        int, typer.Option(metavar="N", min=1, max=10_000, help="Tokens named of each kind.")
    ] = 10,
    json: Json = False,
    *,
    given: Given,
) -> None:
    from tissu_core.runs.inspect.tokens import inspect_tokens

    output = Output(given, is_json=json)
    use = resolve_settings(UseRun, given)
    run = measure_settings(against or (), given)
    events = inspect_tokens(
        model,
        against=run.data,
        generated=replace(run.data, corpus=tuple(generated or ())),
        samples=samples,
        decoding=use.decoding,
        machine=use.machine,
        shown=top,
    )
    output.tell(events, _draw)


def _draw(event: TokensMeasured, sheet: Sheet) -> "RenderableType":
    from tissu_cli.render.inspect.token_use import token_use_view

    return token_use_view(event, sheet.width)
