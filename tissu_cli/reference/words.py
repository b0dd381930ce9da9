"""What can follow where on a command line: one table that the engines of the shells read.

A key is a command (``tissu models``), whose value are the commands under it or what its arguments
can be; a command and ``-*``, its options; or a command and an option (``tissu train --optimizer``),
what its value can be, nothing if that is anybody's guess. An option that is no key is a flag.
"""

from dataclasses import dataclass

from tissu_cli.reference.tree import Command, Parameter, iter_commands


@dataclass(frozen=True, slots=True)
class Word:
    """A word to type, or after ``@`` the source that more are found in."""

    text: str
    help: str = ""


def word_table(tree: Command) -> dict[str, tuple[Word, ...]]:
    """All that can follow, by key."""
    table: dict[str, tuple[Word, ...]] = {}
    for command in iter_commands(tree):
        under = [Word(each.name, summary(each.help)) for each in command.commands]
        values = [word for argument in command.arguments for word in value_words(argument)]
        table[command.path] = tuple(dict.fromkeys([*under, *values]))
        table[f"{command.path} -*"] = tuple(
            Word(name, summary(option.help)) for option in command.options for name in option.names
        )
        for option in command.options:
            if option.metavar:
                table |= {f"{command.path} {name}": value_words(option) for name in option.names}
    return table


def value_words(parameter: Parameter) -> tuple[Word, ...]:
    """What the value of a parameter can be."""
    sources = [f"@{source}" for source in parameter.sources]
    return tuple(map(Word, [*parameter.choices, *sources]))


def summary(help: str) -> str:
    """The first sentence of a help text, without its full stop."""
    return help.partition(". ")[0].removesuffix(".")
