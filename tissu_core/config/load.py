"""Configuration to and from TOML, and single settings by dotted path.

Every unknown table or key is refused with its nearest name, and every value of the wrong type with
the type wanted: a misspelt setting is never ignored.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from tissu_core.config.fields import without_none
from tissu_core.errors import ConfigError, InputError, nearest

Config = TypeVar("Config")
_SUFFIXES = {"k": 10**3, "m": 10**6, "g": 10**9, "b": 10**9}


def read_toml(path: Path) -> dict[str, Any]:
    """The tables of a TOML file.

    Raises:
        InputError: If the file cannot be read.
        ConfigError: If it is not TOML.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig", errors="surrogateescape"))
    except OSError as error:
        raise InputError(
            f"cannot read the configuration {path}: {error.strerror}",
            hint="name a file that can be read",
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"{path} is not TOML: {error}", field="config", hint="mend the line it names"
        ) from error


def to_toml(config: Any) -> str:
    """A configuration as TOML; settings that are None are left out."""
    import tomli_w

    return tomli_w.dumps(to_table(config), multiline_strings=False)


def to_line(path: str, value: Any) -> str:
    """A setting as one line of TOML."""
    return f"{path} = {_to_value(value)}"


def _to_value(value: Any) -> str:
    import tomli_w

    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_to_value, value))}]"
    return tomli_w.dumps({"x": value}).removeprefix("x = ").rstrip("\n")


def to_table(config: Any) -> dict[str, Any]:
    """A configuration as nested tables of plain values."""
    table: dict[str, Any] = {}
    for spec in fields(config):
        value = getattr(config, spec.name)
        if is_dataclass(value):
            value = to_table(value)
        elif isinstance(value, tuple):
            value = list(value)
        if value is not None:
            table[spec.name] = value
    return table


def build_config(kind: type[Config], table: Mapping[str, Any], where: str = "") -> Config:
    """A configuration from nested tables.

    Raises:
        ConfigError: Naming the field that is unknown, of the wrong type or out of range.
    """
    hints = get_type_hints(kind)
    values: dict[str, Any] = {}
    for name, value in table.items():
        path = f"{where}{name}"
        if name not in hints:
            raise unknown_setting(path, [f"{where}{known}" for known in hints])
        hint = without_none(hints[name])
        if isinstance(hint, type) and is_dataclass(hint):
            if not isinstance(value, Mapping):
                raise ConfigError(
                    f"{path} is {value!r}, and it is a table", field=path, hint=f"[{path}]"
                )
            values[name] = build_config(hint, value, f"{path}.")
        else:
            values[name] = cast_value(path, value, hint)
    return kind(**values)


def unknown_setting(path: str, known: list[str]) -> ConfigError:
    """The error for a name that is no setting."""
    close = nearest(path, known)
    return ConfigError(
        f"there is no setting {path!r}",
        field=path,
        hint=f"did you mean {' or '.join(close)}?" if close else f"known: {', '.join(known)}",
    )


def cast_value(path: str, value: Any, hint: Any) -> Any:
    """``value`` as the type of a setting; text is parsed, and counts take k, M and G.

    Raises:
        ConfigError: If it is not of that type.
    """
    if get_origin(hint) is tuple:
        items = [value] if isinstance(value, str) else value
        if isinstance(items, list | tuple):
            return tuple(cast_value(path, item, get_args(hint)[0]) for item in items)
    elif hint is bool:
        if isinstance(value, bool) or value in ("true", "false"):
            return value is True or value == "true"
    elif hint is str:
        if isinstance(value, str):
            return value
        if isinstance(value, int | float):
            return str(value)
    elif hint is int and isinstance(value, str) and value.strip().isdecimal():
        return int(value)  # exactly: a float would round a large seed
    elif isinstance(value, str | int | float) and not isinstance(value, bool):
        number = parse_number(value)
        if number is not None and (hint is float or number == int(number)):
            return hint(number)
    wanted = {int: "a whole number", float: "a number", str: "text", bool: "true or false"}.get(
        hint, "a list"
    )
    raise ConfigError(
        f"{path} is {value!r}, and it takes {wanted}", field=path, hint=f"mend {path}"
    )


def parse_number(value: str | float) -> float | None:
    """A finite number, with an optional k, M, G or B behind it; None if it is not one.

    >>> parse_number("32k"), parse_number("1e-3"), parse_number("many")
    (32000.0, 0.001, None)
    """
    if isinstance(value, int | float):
        return value if abs(value) < float("inf") else None
    text = value.strip().replace("_", "").lower()
    factor = _SUFFIXES.get(text[-1:], 1)
    try:
        number = float(text[:-1] if factor > 1 else text) * factor
    except ValueError:
        return None
    return number if abs(number) < float("inf") else None


def parse_assignment(text: str) -> tuple[str, Any]:
    """``a.b=c`` as (path, value).

    Raises:
        ConfigError: If there is no ``=``.
    """
    path, equals, value = text.partition("=")
    if not equals or not path.strip():
        raise ConfigError(
            f"--set {text!r} is not name=value", field="set", hint="--set training.steps=500"
        )
    return path.strip(), parse_value(value)


def parse_value(text: str) -> Any:
    """A value typed without its quotes: read as TOML, else as text."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def place(table: dict[str, Any], path: str, value: Any) -> None:
    """Put ``value`` at a dotted path of nested tables."""
    *parents, last = path.split(".")
    for parent in parents:
        inner = table.setdefault(parent, {})
        if not isinstance(inner, dict):
            raise unknown_setting(path, [])
        table = inner
    table[last] = value
