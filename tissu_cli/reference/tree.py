"""The tree of commands, read from Typer's into plain facts."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from typer.core import TyperArgument, TyperGroup, TyperOption

_SOURCES = {
    "MODEL": ("models", "files"),
    "TOKENIZER": ("models", "files"),
    "RUN": ("runs", "directories"),
    "STORED": ("stored",),
    "FILE": ("files",),
    "PATH": ("files",),
    "DATA": ("files",),
    "CORPUS": ("files",),
    "DIR": ("directories",),
}
"""What a metavar in capitals can be on this machine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """An option or an argument."""

    names: tuple[str, ...]
    """Of an option; an argument has none."""
    metavar: str
    """What the value is; a flag has none."""
    help: str
    panel: str
    is_repeated: bool

    @property
    def choices(self) -> tuple[str, ...]:
        """The values that a metavar such as ``[cosine|wsd]`` spells out."""
        return tuple(word for word in _alternatives(self.metavar) if not word.isupper())

    @property
    def sources(self) -> tuple[str, ...]:
        """Where other values are found: models, runs, stored, files, directories."""
        found = [_SOURCES.get(word, ()) for word in _alternatives(self.metavar)]
        return tuple(dict.fromkeys(source for sources in found for source in sources))


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A command, or a group of commands."""

    path: str
    """What is typed for it: ``tissu models pull``."""
    help: str
    panel: str
    options: tuple[Parameter, ...]
    arguments: tuple[Parameter, ...]
    commands: tuple["Command", ...]

    @property
    def name(self) -> str:
        """The last word of the path."""
        return self.path.rpartition(" ")[2]


_HELP = Parameter(
    names=("-h", "--help"),
    metavar="",
    help="Show this message and exit.",
    panel="",
    is_repeated=False,
)


def read_tree(command: Any, path: str = "tissu", panel: str = "") -> Command:
    """A Typer command with all that is under it but what is hidden."""
    under = command.commands if isinstance(command, TyperGroup) else {}
    options = [_option(param) for param in command.params if isinstance(param, TyperOption)]
    return Command(
        path=path,
        help=command.help or "",
        panel=panel,
        options=(*options, _HELP),
        arguments=tuple(_argument(p) for p in command.params if isinstance(p, TyperArgument)),
        commands=tuple(
            read_tree(each, f"{path} {name}", _text(each.rich_help_panel))
            for name, each in under.items()
            if not each.hidden
        ),
    )


def iter_commands(command: Command) -> Iterator[Command]:
    """A command and all under it."""
    yield command
    for each in command.commands:
        yield from iter_commands(each)


def _option(param: Any) -> Parameter:
    metavar = "" if param.is_flag else param.metavar or param.name.upper()
    return Parameter(
        names=(*param.opts, *param.secondary_opts),
        metavar=metavar,
        help=param.help or "",
        panel=_text(param.rich_help_panel),
        is_repeated=param.multiple,
    )


def _argument(param: Any) -> Parameter:
    is_repeated = param.nargs != 1
    return Parameter(
        names=(),
        metavar=param.metavar or param.name.upper() + "..." * is_repeated,
        help=param.help or "",
        panel="",
        is_repeated=is_repeated,
    )


def _alternatives(metavar: str) -> list[str]:
    return [word for word in metavar.strip("[].").split("|") if word]


def _text(panel: object) -> str:
    """A panel's name; Typer has an object of its own for none."""
    return panel if isinstance(panel, str) else ""
