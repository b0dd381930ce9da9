"""Completion for fish."""

from collections.abc import Iterator

from tissu_cli.reference.tree import Command, Parameter, iter_commands
from tissu_cli.reference.words import summary

_ENGINE = r"""
# Whether a command is the one that is typed.
function __tissu_at --argument-names wanted
    set -l path tissu
    for word in (commandline -opc)[2..-1]
        if string match -q -- '-*' $word
            continue
        else if not contains -- "$path $word" $__tissu_commands
            break
        end
        set path "$path $word"
    end
    test "$path" = "$wanted"
end

complete -c tissu -f
"""


def fish_completion(tree: Command) -> str:
    """The file for fish 3.1 and newer."""
    commands = [*iter_commands(tree)]
    paths = " ".join(_quote(command.path) for command in commands)
    lines = ["# Completion of tissu for fish, made from the command tree.", ""]
    lines += [f"set -g __tissu_commands {paths}", _ENGINE]
    return "\n".join([*lines, *(line for each in commands for line in _lines(each)), ""])


def _lines(command: Command) -> Iterator[str]:
    begin = f"complete -c tissu -n {_quote(f'__tissu_at {_quote(command.path)}')}"
    for each in command.commands:
        yield f"{begin} -a {each.name} -d {_quote(summary(each.help))}"
    for argument in command.arguments:
        yield begin + _values(argument)
    for option in command.options:
        value = f" -r{_values(option)}" if option.metavar else ""
        for name in option.names:
            dashes = "-l" if name.startswith("--") else "-s"
            about = _quote(summary(option.help))
            yield f"{begin} {dashes} {name.lstrip('-')}{value} -d {about}"


def _values(parameter: Parameter) -> str:
    words, files = list(parameter.choices), " -f"
    for source in parameter.sources:
        if source == "files":
            files = " -F"
        elif source == "directories":
            words.append("(__fish_complete_directories)")
        else:
            words.append(f"(command tissu __complete {source} 2>/dev/null)")
    return files + (f" -a {_quote(' '.join(words))}" if words else "")


def _quote(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
