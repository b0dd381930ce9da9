"""Windows in some layers, as ``config.json`` spells them."""

from collections.abc import Sequence
from typing import Any

from tissu_core.config.model import ModelConfig
from tissu_core.models.families.family import Table, UnreadableConfigError

_FULL, _SLIDING = "full_attention", "sliding_attention"


def read_windows(table: Table, default: Sequence[int]) -> dict[str, Any]:
    """Fields of ``ModelConfig``; ``default`` are the layers with a window where no list says.

    Raises:
        UnreadableConfigError: If the list has other kinds of layers, or not one for each.
    """
    count = table["num_hidden_layers"]
    sliding = tuple(default)
    kinds = table.get("layer_types")
    if kinds is not None:
        if not isinstance(kinds, list) or len(kinds) != count:
            raise UnreadableConfigError(f"has layer_types that are not {count} words")
        unknown = next((kind for kind in kinds if kind not in (_FULL, _SLIDING)), None)
        if unknown is not None:
            raise UnreadableConfigError(
                f"has layer_types {unknown!r}, which this version does not compute"
            )
        sliding = tuple(index for index, kind in enumerate(kinds) if kind == _SLIDING)
    window = table.get("sliding_window", 4096) if table.get("use_sliding_window") else None
    if window is None or not sliding:
        return {}
    return {"sliding_window": window, "sliding_layers": None if len(sliding) == count else sliding}


def window_table(config: ModelConfig) -> dict[str, Any]:
    """The window and the layers that have it; ``max_window_layers`` is for older programs."""
    if config.sliding_window is None:
        return {"use_sliding_window": False}
    return {
        "use_sliding_window": True,
        "sliding_window": config.sliding_window,
        "max_window_layers": layer_types(config).count(_FULL),
        "layer_types": layer_types(config),
    }


def layer_types(config: ModelConfig) -> list[str]:
    """Which layers have the window."""
    return [_FULL if kind.window is None else _SLIDING for kind in config.layer_kinds]
