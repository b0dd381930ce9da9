"""The decoding settings of a conversation: what was set here over what holds everywhere."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from tissu_core.config.decoding import DecodingConfig
from tissu_core.config.fields import default_of, describe, iter_settings
from tissu_core.config.load import cast_value, unknown_setting
from tissu_core.errors import ConfigError

FIELDS = {path: (spec, hint) for path, spec, hint in iter_settings(DecodingConfig)}


def with_overrides(base: DecodingConfig, overrides: Mapping[str, Any]) -> DecodingConfig:
    """``base`` with the settings of a conversation.

    Raises:
        ConfigError: Naming the one that is unknown, of the wrong type or out of range.
    """
    return replace(base, **{name: _cast(name, value) for name, value in overrides.items()})


def parse_setting(text: str) -> tuple[str, Any]:
    """``name=value``, or ``name value``; the value is None where it is left out, for the default.

    Raises:
        ConfigError: If there is no such setting, or the value is not of its type.
    """
    name, _, value = text.replace("=", " ", 1).strip().partition(" ")
    name = name.strip().replace("-", "_")
    if name not in FIELDS:
        raise unknown_setting(name, [*FIELDS])
    value = value.strip()
    return name, _cast(name, value) if value else None


def _cast(name: str, value: Any) -> Any:
    if name not in FIELDS:
        raise unknown_setting(name, [*FIELDS])
    _, hint = FIELDS[name]
    if value is None:
        return None
    if isinstance(value, str) and hint in (int, float) and not value:
        raise ConfigError(f"{name} is empty", field=name, hint=f"/set {name}=VALUE")
    return cast_value(name, value, hint)


def changed_fields(settings: DecodingConfig) -> dict[str, Any]:
    """The settings that are not their defaults, as JSON has them."""
    found = {}
    for name, (spec, _) in FIELDS.items():
        value = getattr(settings, name)
        if value != default_of(spec):
            found[name] = [*value] if isinstance(value, tuple) else value
    return found


def described(name: str) -> str:
    """What a setting does."""
    spec, _ = FIELDS[name]
    facts = describe(spec)
    return f"{facts.help} ({facts.unit})" if facts.unit else facts.help
