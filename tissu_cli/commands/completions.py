"""``tissu completions``: what a shell needs to complete tissu's command lines."""

import re
import sys
from typing import Annotated

import typer

from tissu_core.errors import ConfigError
from tissu_core.runs.catalog import names_here
from tissu_core.runs.models.known import KNOWN_MODELS
from tissu_core.runs.models.store import stored_models
from tissu_core.runs.run_directory import run_directories

_PLAIN = re.compile(r"\w[\w.:/@+-]*")
"""Names that are one word to every shell, as all are that tissu gives. Bash 5.2 leaves ``$`` and
the backtick of a completed name as they are, to be expanded."""
NAMES = "bash|zsh|fish|powershell"
_HELP = "Print the file with which a shell completes tissu's command lines."
_PLACES = (
    "Bash: save it as ~/.local/share/bash-completion/completions/tissu, or source it in ~/.bashrc; "
    "zsh: as _tissu in a folder of $fpath; fish: as ~/.config/fish/completions/tissu.fish; "
    "PowerShell: as tissu.ps1, read in $PROFILE."
)


def register(app: typer.Typer) -> None:
    """Add the commands to the tree."""
    app.command(rich_help_panel="Set up", short_help=_HELP, help=f"{_HELP} {_PLACES}")(completions)
    app.command(name="__complete", hidden=True)(complete)


def completions(
    ctx: typer.Context,
    shell: Annotated[str, typer.Argument(metavar=NAMES, help="The shell.")],
) -> None:
    from tissu_cli.reference.files import SHELLS
    from tissu_cli.reference.tree import read_tree

    if shell not in SHELLS:
        raise ConfigError(
            f"there are no completions for {shell!r}",
            field="shell",
            hint=f"one of {', '.join(SHELLS)}",
        )
    sys.stdout.write(SHELLS[shell].render(read_tree(ctx.find_root().command)))


def complete(source: str) -> None:
    """Names on this machine, one a line; those that a shell would have to quote are left out."""
    match source:
        case "models":
            names = names_here()
        case "runs":
            names = [run.name for run in run_directories()]
        case "stored":
            names = [model.name for model in stored_models()]
        case "known":
            names = [model.name for model in KNOWN_MODELS]
        case _:
            names = []
    for name in names:
        if _PLAIN.fullmatch(name):
            sys.stdout.write(f"{name}\n")
