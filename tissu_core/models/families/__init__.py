"""Architectures that other programs know: their ``config.json`` and the names of their weights.

One small file for each that really differs. A shape that none of them expresses is saved as
``tissu``, which only tissu reads.
"""

from collections.abc import Mapping
from typing import Any

from tissu_core.config.model import ModelConfig
from tissu_core.models.families.family import Family, UnreadableConfigError
from tissu_core.models.families.gemma import GEMMA2, GEMMA3, GEMMA3_TEXT
from tissu_core.models.families.gpt2 import GPT2
from tissu_core.models.families.llama import LLAMA, MISTRAL
from tissu_core.models.families.mixtral import MIXTRAL
from tissu_core.models.families.mpt import MPT
from tissu_core.models.families.own import TISSU
from tissu_core.models.families.phi3 import PHI3
from tissu_core.models.families.qwen import QWEN2, QWEN3
from tissu_core.models.families.smollm3 import SMOLLM3

__all__ = ["FAMILIES", "TISSU", "Family", "UnreadableConfigError", "family_for", "family_of"]

FAMILIES: tuple[Family, ...] = (
    QWEN3,
    LLAMA,
    MISTRAL,
    QWEN2,
    SMOLLM3,
    PHI3,
    GPT2,
    MPT,
    GEMMA2,
    GEMMA3_TEXT,
    GEMMA3,
    MIXTRAL,
    TISSU,
)


def family_for(config: ModelConfig) -> Family:
    """The first family that expresses a shape; ``TISSU`` expresses all."""
    return next(family for family in FAMILIES if family.expresses(config))


def family_of(table: Mapping[str, Any]) -> Family:
    """The family of a ``config.json``.

    Raises:
        UnreadableConfigError: If it is none of these; names them.
    """
    kind = table.get("model_type")
    found = next((family for family in FAMILIES if family.model_type == kind), None)
    if found is None:
        known = ", ".join(family.model_type for family in FAMILIES)
        told = "names no model_type" if kind is None else f"is a {str(kind)[:80]!r} model"
        raise UnreadableConfigError(f"{told}; this version reads: {known}")
    return found
