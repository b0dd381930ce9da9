"""The files in ``completions/``."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from tissu_cli.reference.bash import bash_completion
from tissu_cli.reference.fish import fish_completion
from tissu_cli.reference.man import manual_pages
from tissu_cli.reference.powershell import powershell_completion
from tissu_cli.reference.tree import Command
from tissu_cli.reference.zsh import zsh_completion


@dataclass(frozen=True, slots=True)
class Shell:
    """How a shell's file is called, and what makes it."""

    file: str
    render: Callable[[Command], str]


SHELLS = {
    "bash": Shell("tissu.bash", bash_completion),
    "zsh": Shell("_tissu", zsh_completion),
    "fish": Shell("tissu.fish", fish_completion),
    "powershell": Shell("tissu.ps1", powershell_completion),
}


def iter_files(tree: Command) -> Iterator[tuple[str, str]]:
    """Name and text of each."""
    for shell in SHELLS.values():
        yield shell.file, shell.render(tree)
    for name, text in manual_pages(tree).items():
        yield f"man/{name}", text
