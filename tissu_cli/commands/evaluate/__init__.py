"""``tissu eval``: measure a model; a file for each command."""

import typer

from tissu_cli.tree import group_of

_GROUP = group_of(
    __name__,
    "ppl",
    "suite",
    "harness",
    "adversarial",
    "compare",
    "errors",
    "leaks",
    "speed",
    "report",
)
app = typer.Typer(cls=_GROUP, help="Measure a model.", no_args_is_help=True)


def register(root: typer.Typer) -> None:
    """Add the commands to the tree."""
    root.add_typer(app, name="eval", rich_help_panel="Know a model")
