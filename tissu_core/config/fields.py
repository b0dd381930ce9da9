"""Settings as dataclass fields that carry their own help text, unit and range.

Command-line options, TOML keys, checks and the printed reference are all made from these, so each
setting is described once. In what a person asks for, ``None`` means "tissu chooses"; a resolved
configuration, the one stored with a model, holds no such ``None``.
"""

from collections.abc import Iterator
from dataclasses import MISSING, Field, dataclass, field, fields, is_dataclass
from types import NoneType, UnionType
from typing import Any, get_args, get_origin, get_type_hints

from tissu_core.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What is known of one setting beyond its type and default."""

    help: str
    flag: str = ""
    metavar: str = ""
    """What a command line calls the value; its type or its choices, if left out."""
    unit: str = ""
    minimum: float | None = None
    maximum: float | None = None
    exclusive_minimum: float | None = None
    choices: tuple[str, ...] = ()
    panel: str = ""
    is_path: bool = False
    """Whether a file means it relative to itself."""


class Settings:
    """What a verb is given, where files and the environment set some of it too."""

    __slots__ = ()


def setting(default: Any, help: str, **facts: Any) -> Any:
    """A dataclass field described by a ``Setting``."""
    return field(default=default, metadata={"setting": Setting(help=help, **facts)})


def describe(spec: "Field[Any]") -> Setting:
    """The ``Setting`` of a field made by ``setting``."""
    described = spec.metadata["setting"]
    assert isinstance(described, Setting)
    return described


def check(config: Any) -> None:
    """Check every field of a dataclass of settings against its range and choices.

    Raises:
        ConfigError: Naming the field, the value and what is allowed.
    """
    for spec in fields(config):
        if "setting" in spec.metadata:
            _check_value(spec.name, getattr(config, spec.name), describe(spec))


def _check_value(name: str, value: Any, facts: Setting) -> None:
    if value is None:
        return
    if isinstance(value, tuple):
        for each in value:
            _check_value(name, each, facts)
        return
    shown = facts.flag or name
    if facts.choices and value not in facts.choices:
        _refuse(name, f"{shown} is {value!r}", f"use one of: {', '.join(facts.choices)}")
    if isinstance(value, bool) or not isinstance(value, int | float):
        return
    if not abs(value) < float("inf"):
        _refuse(name, f"{shown} is {value:g}", "use a finite number")
    if facts.minimum is not None and value < facts.minimum:
        _refuse(name, f"{shown} is {value:g}", f"use {facts.minimum:g} or more")
    if facts.exclusive_minimum is not None and not value > facts.exclusive_minimum:
        _refuse(name, f"{shown} is {value:g}", f"use more than {facts.exclusive_minimum:g}")
    if facts.maximum is not None and not value <= facts.maximum:
        _refuse(name, f"{shown} is {value:g}", f"use {facts.maximum:g} or less")


def _refuse(name: str, message: str, hint: str) -> None:
    raise ConfigError(message, field=name, hint=hint)


def iter_settings(kind: type, prefix: str = "") -> Iterator[tuple[str, "Field[Any]", Any]]:
    """Every setting of a (nested) configuration class: dotted path, field, type without None."""
    hints = get_type_hints(kind)
    for spec in fields(kind):
        hint = hints[spec.name]
        if isinstance(hint, type) and is_dataclass(hint):
            yield from iter_settings(hint, f"{prefix}{spec.name}.")
        elif "setting" in spec.metadata:
            yield prefix + spec.name, spec, without_none(hint)


def without_none(hint: Any) -> Any:
    """``int`` for ``int | None``; other types as they are."""
    if get_origin(hint) is UnionType or isinstance(hint, UnionType):
        kinds = [kind for kind in get_args(hint) if kind is not NoneType]
        return kinds[0] if len(kinds) == 1 else hint
    return hint


def default_of(spec: "Field[Any]") -> Any:
    """A field's default value."""
    if spec.default is not MISSING:
        return spec.default
    assert spec.default_factory is not MISSING
    return spec.default_factory()
