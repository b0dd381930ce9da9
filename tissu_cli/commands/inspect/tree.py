"""``tissu inspect tree``: walk through a model's tensors."""

from contextlib import ExitStack

import typer

from tissu_cli.flags import Json, Model
from tissu_cli.render.console import data, print_json
from tissu_cli.settings import can_draw, is_person_at_stdin
from tissu_core.events.records import to_record

app = typer.Typer()


@app.command(
    help="Walk through a model's tensors on the screen: shapes, statistics, histograms and "
    "spectra, each read when it is looked at. Where there is no screen, a list."
)
def tree(model: Model = None, json: Json = False) -> None:
    show_tree(model, is_json=json)


def is_on_screen() -> bool:
    """Whether a person could walk through it."""
    return can_draw() and is_person_at_stdin()


def show_tree(model: str | None, *, is_json: bool = False) -> None:
    """Open the screen; without one, or as JSON, list what would be in it."""
    from tissu_core.runs.inspect.tree import open_tree

    with ExitStack() as leases:
        opened = open_tree(model, leases)
        if is_json:
            tensors = [to_record(tensor) for tensor in opened.tensors]
            print_json({"path": str(opened.path), "tensors": tensors})
        elif is_on_screen():
            from tissu_cli.tui.model_tree.run import run_tree

            raise typer.Exit(run_tree(opened))
        else:
            from tissu_cli.render.inspect.model_tree import build_modules, plain_tree

            console = data()
            for line in plain_tree(build_modules(opened.path.name, opened.tensors)):
                console.print(line)
