"""``tissu inspect tree``: walk through a model's tensors."""

from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, NoReturn

import typer

from tissu_cli.flags import Given, Json, Model, with_settings
from tissu_cli.output import Output, Sheet
from tissu_cli.settings import can_draw, is_person_at_stdin
from tissu_core.config.inspection import PicturesConfig
from tissu_core.events.records import to_record

if TYPE_CHECKING:
    from rich.console import RenderableType

    from tissu_core.runs.inspect.tree import ModelTree

app = typer.Typer()


@app.command(
    help="Walk through a model's tensors on the screen: shapes, statistics, histograms and "
    "spectra, each read when it is looked at. Where there is no screen, and for a picture, a list."
)
@with_settings(("", PicturesConfig))
def tree(model: Model = None, json: Json = False, *, given: Given) -> None:
    from tissu_core.runs.inspect.tree import open_tree

    output = Output(given, is_json=json)
    if not (output.is_json or output.pictures.any) and is_on_screen():
        walk_through(model)
    with ExitStack() as leases:
        opened = open_tree(model, leases)
        tensors = [to_record(tensor) for tensor in opened.tensors]
        output.show({"path": str(opened.path), "tensors": tensors}, partial(_draw, opened))


def is_on_screen() -> bool:
    """Whether a person could walk through it."""
    return can_draw() and is_person_at_stdin()


def walk_through(model: str | None) -> NoReturn:
    """Open the screen, and end as it ends."""
    from tissu_cli.tui.model_tree.run import run_tree
    from tissu_core.runs.inspect.tree import open_tree

    with ExitStack() as leases:
        raise typer.Exit(run_tree(open_tree(model, leases)))


def _draw(opened: "ModelTree", _: Sheet) -> "RenderableType":
    from rich.console import Group

    from tissu_cli.render.inspect.model_tree import build_modules, plain_tree

    return Group(*plain_tree(build_modules(opened.path.name, opened.tensors)))
