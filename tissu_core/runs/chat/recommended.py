"""How a model's makers would have its tokens chosen: its ``generation_config.json``."""

import json
from contextlib import suppress
from typing import Any

from tissu_core.config.decoding import DecodingConfig
from tissu_core.errors import ConfigError, TissuError
from tissu_core.runs.catalog import find_model

_FILE = "generation_config.json"
_FIELDS = ("temperature", "top_k", "top_p", "min_p", "repetition_penalty")
"""Called alike by transformers."""


def recommended_settings(model: str | None) -> dict[str, Any]:
    """Decoding settings by their dotted path, for whoever says nothing else.

    What cannot be read, or is no such setting, recommends nothing.
    """
    with suppress(TissuError, OSError, ValueError):
        path = find_model(model)
        table = json.loads(((path.parent if path.is_file() else path) / _FILE).read_text("utf-8"))
        if isinstance(table, dict):
            found = {name: table[name] for name in _FIELDS if name in table}
            return {
                f"decoding.{name}": value for name, value in found.items() if _fits(name, value)
            }
    return {}


def _fits(name: str, value: Any) -> bool:
    if type(value) not in ((int,) if name == "top_k" else (int, float)):
        return False
    try:
        DecodingConfig(**{name: value})
    except ConfigError:
        return False
    return True
