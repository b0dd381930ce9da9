"""The tree of commands, read from Typer's into plain facts."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from typer.core import TyperGroup, TyperOption

_SOURCES = {
    "MODEL": ("models", "files"),
    "TOKENIZER": ("models", "files"),
    "RUN": ("runs", "directories"),
    "SOURCE": ("known",),
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
    """What the value is: words in capitals name it, others are choices. A flag has none."""
    help: str
    panel: str
    is_required: bool
    is_repeated: bool

    @property
    def usage(self) -> str:
        """An argument as a synopsis has it."""
        shown = self.metavar + "..." * self.is_repeated
        return shown if self.is_required else f"[{shown}]"

    @property
    def choices(self) -> tuple[str, ...]:
        """The values that a metavar spells out: ``cosine|wsd``."""
        return tuple(word for word in self.metavar.split("|") if word and not word.isupper())

    @property
    def sources(self) -> tuple[str, ...]:
        """Where other values are found: models, runs, files."""
        found = [_SOURCES.get(word, ()) for word in self.metavar.split("|")]
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
    is_required=False,
    is_repeated=False,
)


def read_tree(command: Any, path: str = "tissu", panel: str = "") -> Command:
    """A Typer command with all that is under it but what is hidden."""
    under: Any = command.commands if isinstance(command, TyperGroup) else {}
    parameters = [_parameter(param) for param in command.params]
    return Command(
        path=path,
        help=command.help or "",
        panel=panel,
        options=(*(each for each in parameters if each.names), _HELP),
        arguments=tuple(each for each in parameters if not each.names),
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


def _parameter(param: Any) -> Parameter:
    is_option = isinstance(param, TyperOption)
    is_flag = is_option and param.is_flag
    return Parameter(
        names=(*param.opts, *param.secondary_opts) if is_option else (),
        metavar="" if is_flag else param.metavar or param.name.upper(),
        help=param.help or "",
        panel=_text(param.rich_help_panel),
        is_required=param.required,
        is_repeated=param.multiple or param.nargs != 1,
    )


def _text(panel: object) -> str:
    """A panel's name; Typer has an object of its own for none."""
    return panel if isinstance(panel, str) else ""
