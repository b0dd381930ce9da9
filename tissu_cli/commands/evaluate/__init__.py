"""``tissu eval``: measure a model; a file for each command."""

import typer

from tissu_cli.commands.evaluate import (
    adversarial,
    compare,
    errors,
    harness,
    leaks,
    ppl,
    report,
    speed,
    suite,
)

app = typer.Typer(help="Measure a model.", no_args_is_help=True)
for _module in (
    ppl,
    suite,
    harness,
    adversarial,
    compare,
    errors,
    leaks,
    compare,
    errors,
    suite,
    speed,
    report,
):
    app.add_typer(_module.app)


def register(root: typer.Typer) -> None:
    """Add the commands to the tree."""
    root.add_typer(app, name="eval", rich_help_panel="Know a model")
