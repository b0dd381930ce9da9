"""Phi-3: Llama with projections stored as one, and a rotation for texts that are long."""

from typing import Any

from tissu_core.config.model import ModelConfig
from tissu_core.models.families.family import QKV, Family, Table
from tissu_core.models.families.llama import llama_table, read_llama

_ORIGINAL = "original_max_position_embeddings"
_TRAINED = {_ORIGINAL: 4096, "rms_norm_eps": 1e-5}
"""What a file means that does not say it."""


def _to_table(config: ModelConfig) -> dict[str, Any]:
    table = {
        **llama_table(config),
        "sliding_window": config.sliding_window,
        "partial_rotary_factor": config.partial_rotary_factor,
        "pad_token_id": None,  # or transformers takes one of the published vocabulary
    }
    if "rope_scaling" not in table:
        return table
    # Older programs want three fields and no other: the type so called, and the two lists.
    rope = dict(table["rope_scaling"])
    rope["type"], original = rope.pop("rope_type"), rope.pop(_ORIGINAL, None)
    if original and rope["factor"] == config.max_position_embeddings / original:
        del rope["factor"]
    return {**table, _ORIGINAL: original, "rope_scaling": rope}


def _from_table(table: Table) -> ModelConfig:
    window = table.get("sliding_window")
    return read_llama({**_TRAINED, **table}, rope_types=("longrope",), sliding_window=window)


PHI3 = Family(
    model_type="phi3",
    architecture="Phi3ForCausalLM",
    to_table=_to_table,
    from_table=_from_table,
    fused=(("qkv_proj", QKV), ("gate_up_proj", ("gate_proj", "up_proj"))),
)
