"""Rotary positions as ``config.json`` spells them, in older files and in newer ones."""

from collections.abc import Sequence
from typing import Any

from tissu_core.config.model import ModelConfig
from tissu_core.config.rope import RopeScaling
from tissu_core.models.families.family import Table, UnreadableConfigError, refuse

_ORIGINAL = "original_max_position_embeddings"
_FIELDS = {  # of each type, beside its name
    "linear": ("factor",),
    "llama3": ("factor", _ORIGINAL, "low_freq_factor", "high_freq_factor"),
    "yarn": ("factor", _ORIGINAL, "beta_fast", "beta_slow", "truncate", "attention_factor"),
    "longrope": ("factor", _ORIGINAL, "short_factor", "long_factor", "attention_factor"),
}


def read_rope(table: Table, default_theta: float, types: Sequence[str]) -> dict[str, Any]:
    """Fields of ``ModelConfig`` from ``rope_parameters``, or ``rope_theta`` and ``rope_scaling``.

    Raises:
        UnreadableConfigError: If the rotation is of a type that is not computed here.
    """
    rope = table.get("rope_parameters") or table.get("rope_scaling") or {}
    if not isinstance(rope, dict) or any(isinstance(value, dict) for value in rope.values()):
        raise UnreadableConfigError(f"has the rope scaling {rope!r}, which is not one for all")
    both = {**table, **rope}
    kind = rope.get("rope_type", rope.get("type")) or "default"
    kind = "longrope" if kind == "su" else kind  # as Phi-3's first files say
    if kind not in ("default", *types):
        known = ", ".join(types)
        raise UnreadableConfigError(
            f"uses rope scaling {kind!r}, which this version does not compute; it does: {known}"
        )
    return {
        "rope_theta": both.get("rope_theta") or default_theta,
        "partial_rotary_factor": both.get("partial_rotary_factor") or 1.0,
        "rope_scaling": None if kind == "default" else _read_scaling(kind, rope, table),
    }


def _read_scaling(kind: str, rope: Table, table: Table) -> RopeScaling:
    refuse(rope, mscale=None, mscale_all_dim=None, mrope_section=None)
    longest = table["max_position_embeddings"]
    found = {name: rope[name] for name in _FIELDS[kind] if rope.get(name) is not None}
    if kind != "linear":
        found[_ORIGINAL] = table.get(_ORIGINAL) or found.get(_ORIGINAL, longest)
    if "factor" not in found:
        if kind != "longrope":
            raise UnreadableConfigError("lacks the factor of its rope scaling")
        found["factor"] = longest / found[_ORIGINAL]
    for name in ("short_factor", "long_factor"):
        if name in found:
            found[name] = tuple(found[name])
    return RopeScaling(rope_type=kind, **found)


def rope_table(config: ModelConfig) -> dict[str, Any]:
    """``rope_theta`` and ``rope_scaling``, which older and newer programs read."""
    scaling = config.rope_scaling
    if scaling is None:
        return {"rope_theta": config.rope_theta}
    table: dict[str, Any] = {"rope_type": scaling.rope_type}
    for name in _FIELDS[scaling.rope_type]:
        value = getattr(scaling, name)
        if value is not None:
            table[name] = list(value) if isinstance(value, tuple) else value
    return {"rope_theta": config.rope_theta, "rope_scaling": table}
