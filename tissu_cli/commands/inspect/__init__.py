"""``tissu inspect``: look inside a model and a run; a file for each command."""

import sys

import typer

from tissu_cli.tree import group_of

_GROUP = group_of(
    __name__,
    "tree",
    "weights",
    "diff",
    "model",
    "run",
    "why",
    "source",
    "schedule",
    "activations",
    "hist",
    "memory",
    "tokens",
    "quantization",
    "gradcheck",
    "attention",
    "lens",
    "explain",
    "experts",
)
app = typer.Typer(
    cls=_GROUP, help="Look inside a model or a run; alone, walk through the newest model."
)


@app.callback(invoke_without_command=True)
def _alone(ctx: typer.Context) -> None:
    if ctx.invoked_subcommand is not None:
        return
    from tissu_cli.commands.inspect import tree  # noqa: PLC0415  as the others are

    if tree.is_on_screen():
        tree.walk_through(None)
    else:
        sys.stdout.write(ctx.get_help() + "\n")


def register(root: typer.Typer) -> None:
    """Add the commands to the tree."""
    root.add_typer(app, name="inspect", rich_help_panel="Know a model")
