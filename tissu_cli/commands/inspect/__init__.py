"""``tissu inspect``: look inside a model and a run; a file for each command."""

import typer

from tissu_cli.commands.inspect import (
    experts,
    explain,
    gradcheck,
    model,
    quantization,
    run,
    schedule,
    weights,
    why,
)

app = typer.Typer(help="Look inside a model or a run.", no_args_is_help=True)
for _module in (
    weights,
    model,
    run,
    why,
    schedule,
    quantization,
    gradcheck,
    explain,
    experts,
):
    app.add_typer(_module.app)


def register(root: typer.Typer) -> None:
    """Add the commands to the tree."""
    root.add_typer(app, name="inspect", rich_help_panel="Know a model")
