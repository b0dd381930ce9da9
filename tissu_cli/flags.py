"""Command-line options made from the configuration's fields, so that each is written once."""

import functools
import inspect
from collections.abc import Callable, Mapping
from dataclasses import Field
from pathlib import Path
from typing import Annotated, Any, TypeVar, get_origin

import typer

from tissu_core.config.fields import Setting, default_of, describe, iter_settings
from tissu_core.config.load import build_config, cast_value, parse_assignment, place, read_toml
from tissu_core.config.training import LENGTHS

Config = TypeVar("Config")
Given = dict[str, Any]
"""Settings that were typed: dotted path to text, list of texts, or a boolean."""

Model = Annotated[
    str | None,
    typer.Argument(
        metavar="[MODEL]",
        help="A directory, a run, RUN:STEP, a name in the store; the newest if left out.",
        show_default=False,
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


def with_settings(*kinds: tuple[str, type]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command the options of configuration classes.

    Each kind is (prefix, class). The command's parameter ``given`` receives what was typed.
    """
    options = {
        _parameter_name(prefix + path): (prefix + path, spec, hint)
        for prefix, kind in kinds
        for path, spec, hint in iter_settings(kind)
        if describe(spec).flag
    }

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(command)
        def call(**values: Any) -> None:
            typed = {path: values.pop(name) for name, (path, _, _) in options.items()}
            given = {path: value for path, value in typed.items() if value not in (None, [])}
            command(given=given, **values)

        own = [p for p in inspect.signature(command).parameters.values() if p.name != "given"]
        made = [_make_option(name, spec, hint) for name, (_, spec, hint) in options.items()]
        call.__signature__ = inspect.Signature([*own, *made])  # type: ignore[attr-defined]
        call.__annotations__ = {p.name: p.annotation for p in [*own, *made]} | {"return": None}
        return call

    return decorate


def _parameter_name(path: str) -> str:
    return "set_" + path.replace(".", "_")


def _make_option(name: str, spec: "Field[Any]", hint: Any) -> inspect.Parameter:
    facts = describe(spec)
    details: dict[str, Any] = {"help": _help(facts, spec), "rich_help_panel": facts.panel or None}
    kind: Any = str | None
    flag = facts.flag
    if hint is bool:  # left out is None, so that --no-x overrides what a file says
        kind, flag = bool | None, f"{flag}/--no-{flag.removeprefix('--')}"
    else:
        kind = list[str] | None if get_origin(hint) is tuple else kind
        details["metavar"] = "|".join(facts.choices) or _metavar(hint)
    return inspect.Parameter(
        name,
        inspect.Parameter.KEYWORD_ONLY,
        default=None,
        annotation=Annotated[kind, typer.Option(flag, show_default=False, **details)],
    )


def _help(facts: Setting, spec: "Field[Any]") -> str:
    text = facts.help[0].upper() + facts.help[1:]
    if facts.unit and facts.unit not in text:
        text += f" ({facts.unit})"
    default = default_of(spec)
    is_plain = isinstance(default, str | int | float) and not isinstance(default, bool)
    return f"{text}. Default: {default}" if is_plain and default != "" else f"{text}."


def _metavar(hint: Any) -> str:
    return {int: "N", float: "X"}.get(hint, "TEXT")


def resolve_settings(
    kind: type[Config],
    given: Given,
    *,
    config_file: Path | None = None,
    assignments: list[str] | None = None,
    base: Mapping[str, Any] | None = None,
) -> Config:
    """A configuration from, in rising precedence: ``base``, a TOML file, ``--set``, options.

    Raises:
        ConfigError: Naming the setting that is unknown, of the wrong type or out of range.
    """
    typed = {
        path: cast_value(describe(spec).flag, given[path], hint)
        for path, spec, hint in iter_settings(kind)
        if path in given
    }
    table: dict[str, Any] = {}
    for layer in (
        _nest(base or {}),
        read_toml(config_file) if config_file is not None else {},
        _nest(dict(map(parse_assignment, assignments or []))),
        _nest(typed),
    ):
        _displace_length(table, layer)
        _merge(table, layer)
    return build_config(kind, table)


def _nest(settings: Mapping[str, Any]) -> dict[str, Any]:
    table: dict[str, Any] = {}
    for path, value in settings.items():
        place(table, path, value)
    return table


def _displace_length(table: dict[str, Any], layer: Mapping[str, Any]) -> None:
    """A length that is said again replaces the one said before, in whatever unit that was."""
    lower, higher = table.get("training"), layer.get("training")
    if isinstance(lower, dict) and isinstance(higher, Mapping) and {*LENGTHS} & {*higher}:
        for name in LENGTHS:
            lower.pop(name, None)


def _merge(table: dict[str, Any], other: Mapping[str, Any]) -> None:
    for name, value in other.items():
        if isinstance(value, Mapping) and isinstance(table.get(name), dict):
            _merge(table[name], value)
        else:
            table[name] = value
