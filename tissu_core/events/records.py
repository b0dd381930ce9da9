"""Events as JSON objects and back."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, asdict, fields, is_dataclass
from functools import cache
from typing import Any, get_args, get_origin, get_type_hints


def to_record(event: Any) -> dict[str, Any]:
    """The event as one JSON object, its kind under ``event``; JSON has no NaN, so that is None."""
    return {
        "event": type(event).__name__,
        **{name: _json_number(value) for name, value in asdict(event).items()},
    }


def _json_number(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def by_name(kinds: Iterable[type]) -> dict[str, type]:
    """Kinds of events by what a record calls them."""
    return {kind.__name__: kind for kind in kinds}


def build_event(kind: type, record: Mapping[str, Any]) -> Any:
    """The event of a record, lists as tuples; None if a field is missing.

    Fields of a newer version are passed over, and those of an older one have their defaults.
    """
    names, needed = _names(kind)
    values = {
        name: _as_tuple(value) if type(value) is list else value
        for name, value in record.items()
        if name in names
    }
    for name, part in _parts(kind).items():
        values[name] = tuple(build_event(part, each) for each in values.get(name, ()))
    return kind(**values) if needed <= values.keys() else None


@cache
def _names(kind: type) -> tuple[frozenset[str], frozenset[str]]:
    """All fields of an event, and those without a default: a long log has many of few kinds."""
    known = fields(kind)
    needed = frozenset(field.name for field in known if field.default is MISSING)
    return frozenset(field.name for field in known), needed


@cache
def _parts(kind: type) -> dict[str, Any]:
    """Fields that hold any number of smaller records, and the kind of those."""
    hints = get_type_hints(kind)
    of_tuples = {n: get_args(hint)[0] for n, hint in hints.items() if get_origin(hint) is tuple}
    return {name: part for name, part in of_tuples.items() if is_dataclass(part)}


def _as_tuple(value: Any) -> Any:
    return tuple(map(_as_tuple, value)) if isinstance(value, list) else value
