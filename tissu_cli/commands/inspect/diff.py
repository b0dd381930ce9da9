"""``tissu inspect diff``: which layers moved between two models, by how much, from which step."""

from typing import Annotated

import typer

from tissu_cli.flags import Given, Json, resolve_settings, with_settings
from tissu_cli.render.console import data, print_json
from tissu_cli.render.status import StatusLine, narrated
from tissu_core.config.inspection import PicturesConfig
from tissu_core.events.records import to_record

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

    with StatusLine() as status:
        (found,) = narrated(inspect_diff(before, after), status)
    if json:
        print_json(to_record(found))
        return
    from tissu_cli.render.model_diff import diff_view
    from tissu_cli.render.pictures import save_pictures

    view = diff_view(found)
    data().print(view)
    save_pictures(resolve_settings(PicturesConfig, given), view)
