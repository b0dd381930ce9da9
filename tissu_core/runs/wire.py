"""What a chat and its model's process say to each other: one JSON object a line.

A request is ``{"id": 3, "do": "reply", ...}``. What comes for it is ``{"id": 3, "event": {...}}``
any number of times, then ``{"id": 3, "end": true}`` or ``{"id": 3, "error": {...}}``. While a reply
is written, ``{"id": 3, "do": "stop"}`` ends it and ``{"id": 3, "do": "more", "count": 8}`` says how
many of its events were taken: no more than ``WINDOW`` are sent ahead.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from tissu_core import errors
from tissu_core.config.decoding import DecodingConfig
from tissu_core.config.load import build_config
from tissu_core.errors import ConfigError, TissuError
from tissu_core.text.chat_template import Message

WINDOW = 16
_KINDS = {
    name: kind
    for name, kind in vars(errors).items()
    if isinstance(kind, type) and issubclass(kind, TissuError)
}


def to_line(value: Mapping[str, Any]) -> bytes:
    """A message as it is sent; all of it ASCII, halves of surrogate pairs too."""
    return json.dumps(value).encode() + b"\n"


def conversation_record(
    messages: Sequence[Message], settings: DecodingConfig, written: Sequence[int] | str
) -> dict[str, Any]:
    """What a reply, a measure or a prompt is made of."""
    return {
        "messages": [asdict(message) for message in messages],
        "settings": {name: value for name, value in asdict(settings).items() if value is not None},
        "written": written if isinstance(written, str) else list(written),
    }


def read_conversation(
    record: Mapping[str, Any],
) -> tuple[list[Message], DecodingConfig, list[int] | str]:
    """``conversation_record`` back."""
    messages = [Message(**message) for message in record["messages"]]
    return messages, build_config(DecodingConfig, record["settings"]), record["written"]


def error_record(error: TissuError) -> dict[str, Any]:
    """An error as JSON, under the nearest kind that both sides know."""
    kind = next(kind.__name__ for kind in type(error).__mro__ if kind.__name__ in _KINDS)
    told = {"kind": kind, "message": error.message, "safe": error.safe, "hint": error.hint}
    return told | ({"field": error.field} if isinstance(error, ConfigError) else {})


def read_error(record: Mapping[str, Any]) -> TissuError:
    """``error_record`` back."""
    kind, message, hint = _KINDS[record["kind"]], record["message"], record["hint"]
    if issubclass(kind, ConfigError):
        error: TissuError = kind(message, field=record["field"], hint=hint)
    else:
        error = kind(message, hint=hint)
    error.safe = record["safe"]
    return error
