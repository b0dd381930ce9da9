"""``tissu eval``: measure a model; a file for each command."""

import typer

from tissu_cli.tree import LazyGroup


class _Group(LazyGroup):
    package = __name__
    modules = {  # noqa: RUF012  in the order of the help page
        "ppl": "ppl",
        "suite": "suite",
        "harness": "harness",
        "adversarial": "adversarial",
        "compare": "compare",
        "errors": "errors",
        "leaks": "leaks",
        "speed": "speed",
        "report": "report",
    }


app = typer.Typer(cls=_Group, help="Measure a model.", no_args_is_help=True)


def register(root: typer.Typer) -> None:
    """Add the commands to the tree."""
    root.add_typer(app, name="eval", rich_help_panel="Know a model")
