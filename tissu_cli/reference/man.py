"""Manual pages: one for tissu, and one for each of its commands with all that is under it."""

from collections.abc import Iterable, Iterator

from tissu_cli.reference.tree import Command, Parameter, iter_commands
from tissu_cli.reference.words import summary
from tissu_core.errors import TissuError

_ENVIRONMENT = (
    ("TISSU_HOME", "Where runs, models and caches live."),
    ("TISSU_NATIVE", "A folder for the compiled step of decoding; off: torch computes it."),
    ("TISSU_FAMILY__SETTING", "A setting: TISSU_TRAINING__STEPS=500."),
    ("TISSU_DEBUG", "As --debug."),
    ("TISSU_QUIET", "As --quiet."),
    ("NO_COLOR", "Draw without colours."),
)
_EXITS = (
    (0, "Done."),
    (1, "An error in tissu itself."),
    *sorted((kind.code, (kind.__doc__ or "").strip()) for kind in TissuError.__subclasses__()),
    (130, "Stopped by Ctrl-C."),
    (141, "Who read the output is gone."),
    (143, "Stopped by SIGTERM."),
)


def manual_pages(tree: Command) -> dict[str, str]:
    """File name to page: ``tissu.1``, ``tissu-train.1``."""
    pages = {"tissu.1": _root_page(tree)}
    for command in tree.commands:
        pages[f"{_page_name(command)}.1"] = _page(command)
    return pages


def _root_page(tree: Command) -> str:
    lines = [*_head(tree), ".SH SYNOPSIS", _synopsis(tree)]
    lines += [".SH DESCRIPTION", _text(tree.help)]
    panels = dict.fromkeys(command.panel for command in tree.commands)
    lines.append(".SH COMMANDS")
    for panel in panels:
        lines.append(f".SS {_text(panel)}")
        for command in tree.commands:
            if command.panel == panel:
                lines += _entry(
                    rf"\fB{_text(_page_name(command))}\fR(1)", summary(command.help) + "."
                )
    lines += [".SH OPTIONS", *_parameters(tree.options)]
    lines.append(".SH ENVIRONMENT")
    for name, help in _ENVIRONMENT:
        lines += _entry(rf"\fB{_text(name)}\fR", help)
    lines.append(".SH EXIT STATUS")
    for code, help in _EXITS:
        lines += _entry(rf"\fB{code}\fR", help)
    return "\n".join([*lines, ""])


def _page(command: Command) -> str:
    lines = [*_head(command), ".SH SYNOPSIS"]
    leaves = [each for each in iter_commands(command) if not each.commands]
    lines.append("\n.br\n".join(_synopsis(leaf) for leaf in leaves))
    lines += [".SH DESCRIPTION", _text(command.help)]
    if not command.commands:
        lines += _sections(command)
    for leaf in leaves if command.commands else ():
        lines += [f".SH {_text(leaf.path.upper())}", _text(leaf.help), *_sections(leaf)]
    lines += [".SH SEE ALSO", r"\fBtissu\fR(1)"]
    return "\n".join([*lines, ""])


def _head(command: Command) -> list[str]:
    name = _text(_page_name(command))
    return [
        f'.TH "{name.upper()}" 1 "" tissu "tissu manual"',
        ".ad l",
        ".nh",
        ".SH NAME",
        rf"{name} \- {_text(summary(command.help))}",
    ]


def _page_name(command: Command) -> str:
    return command.path.replace(" ", "-")


def _synopsis(command: Command) -> str:
    words = [rf"\fB{_text(command.path)}\fR", "[OPTIONS]"]
    words += ["COMMAND"] if command.commands else []
    return " ".join([*words, *(_text(argument.usage) for argument in command.arguments)])


def _sections(command: Command) -> Iterator[str]:
    """Arguments and options, by their panels."""
    is_part = command.path.count(" ") > 1
    if command.arguments:
        yield ".SS Arguments" if is_part else ".SH ARGUMENTS"
        yield from _parameters(command.arguments)
    yield ".SS Options" if is_part else ".SH OPTIONS"
    for panel in dict.fromkeys(["", *(option.panel for option in command.options)]):
        if panel:
            yield f".SS {_text(panel)}"
        yield from _parameters(option for option in command.options if option.panel == panel)


def _parameters(parameters: Iterable[Parameter]) -> Iterator[str]:
    for parameter in parameters:
        names = ", ".join(rf"\fB{_text(name)}\fR" for name in parameter.names)
        again = " (may be repeated)" if parameter.names and parameter.is_repeated else ""
        value = rf"\fI{_text(parameter.metavar)}\fR" if parameter.metavar else ""
        yield from _entry(f"{names} {value}{again}".strip(), parameter.help)


def _entry(term: str, help: str) -> list[str]:
    return [".TP", term, _text(help)]


def _text(text: str) -> str:
    """Text that no character of is a request of roff's."""
    escaped = text.replace("\\", r"\e").replace("-", r"\-").replace("'", r"\(aq")
    return rf"\&{escaped}" if escaped.startswith(".") else escaped
