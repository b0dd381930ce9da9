"""``tissu inspect diff``: which layers moved between two models, by how much, from which step."""

from typing import TYPE_CHECKING, Annotated

import typer

from tissu_cli.flags import Given, Json, with_settings
from tissu_cli.output import Output, Sheet
from tissu_core.config.inspection import PicturesConfig
from tissu_core.events.tensors import WeightsCompared

if TYPE_CHECKING:
    from rich.console import RenderableType

app = typer.Typer()


@app.command(
    help="Which layers moved between two models, and by how much. Of two checkpoints of one run, "
    "or of a run alone, also from which step."
)
@with_settings(("", PicturesConfig))
def diff(
    before: Annotated[
        str | None,
        typer.Argument(
            metavar="MODEL",
            help="As everywhere; alone it is a run, of which the first and the last checkpoint "
            "are compared. The newest run if left out.",
            show_default=False,
        ),
    ] = None,
    after: Annotated[
        str | None,
        typer.Argument(metavar="MODEL", help="What became of it.", show_default=False),
    ] = None,
    json: Json = False,
    *,
    given: Given,
) -> None:
    from tissu_core.runs.inspect.diff import inspect_diff

    output = Output(given, is_json=json)
    output.tell(inspect_diff(before, after), _draw)


def _draw(event: WeightsCompared, _: Sheet) -> "RenderableType":
    from tissu_cli.render.inspect.model_diff import diff_view

    return diff_view(event)
