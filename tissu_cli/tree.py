"""The tree of commands, each imported when it is asked for.

All of them together are 190 ms of imports and 100 ms of Typer's reading their signatures; a command
line needs one.
"""

from collections.abc import Callable, Iterator, Mapping, MutableMapping
from functools import partial
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperGroup

MODULES = {
    "train": "train",
    "watch": "watch",
    "tokenize": "tokenize",
    "runs": "runs",
    "chat": "chat",
    "generate": "generate",
    "eval": "evaluate",
    "inspect": "inspect",
    "quantize": "quantize",
    "export": "export",
    "models": "models",
    "init": "init",
    "config": "config",
    "doctor": "doctor",
    "completions": "completions",
    "__complete": "completions",
}
"""Where each command stands, in the order of the help page."""


class _Commands(MutableMapping[str, Any]):
    """Commands by name, each of its module in a package: what its ``register`` or ``app`` adds."""

    def __init__(self, package: str, modules: Mapping[str, str]) -> None:
        self._package, self._modules = package, modules
        self._made: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name not in self._made:
            module = import_module(f"{self._package}.{self._modules[name]}")
            alone = typer.Typer(rich_markup_mode="rich", callback=lambda: None)
            if hasattr(module, "register"):
                module.register(alone)
            else:
                alone.add_typer(module.app)
            commands = typer.main.get_group(alone).commands
            for command in commands.values():
                _keep_defaults(command)
            self._made.update(commands)
        return self._made[name]

    def __setitem__(self, name: str, command: Any) -> None:
        self._made[name] = command

    def __delitem__(self, name: str) -> None:
        raise TypeError("the tree of commands is fixed")

    def __iter__(self) -> Iterator[str]:
        return iter(self._modules)

    def __len__(self) -> int:
        return len(self._modules)


class LazyGroup(TyperGroup):
    """A group of the commands whose ``modules`` stand in ``package``."""

    package = "tissu_cli.commands"
    modules: Mapping[str, str] = MODULES

    def __init__(self, **facts: Any) -> None:
        super().__init__(**facts)
        self.commands = {}
        _keep_defaults(self)
        self.commands = _Commands(self.package, self.modules)


def group_of(package: str, *names: str) -> type[LazyGroup]:
    """A group of commands, each in a module of its own name."""
    modules = {name: name for name in names}
    return type("Group", (LazyGroup,), {"package": package, "modules": modules})


def _keep_defaults(command: Any) -> None:
    """Let what nobody typed be the default as it is written, and a typed text be that text.

    Typer would check either with pydantic, whose import takes 110 ms.
    """
    under = getattr(command, "commands", {})
    if not isinstance(under, _Commands):  # those are read when they are asked for
        for each in under.values():
            _keep_defaults(each)
    for param in command.params:
        param.process_value = partial(_process, param, param.process_value)
    command.get_help_option = partial(_help_option, command.get_help_option)


def _help_option(make: Callable[[Any], Any], ctx: Any) -> Any:
    option = make(ctx)
    if option is not None and not isinstance(option.process_value, partial):
        option.process_value = partial(_process, option, option.process_value)
    return option


def _process(param: Any, check: Callable[[Any, Any], Any], ctx: Any, value: Any) -> Any:
    is_typed = str(ctx.get_parameter_source(param.name)).endswith(("COMMANDLINE", "ENVIRONMENT"))
    if not is_typed and not param.required:
        return param.default
    kind = param.type_descriptor.annotation
    if param.callback is None:
        if kind in (str, bool) and type(value) is kind:
            return value
        if kind == list[str] and value and all(type(each) is str for each in value):
            return [*value]
    return check(ctx, value)
