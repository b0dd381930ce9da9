"""Mixtral: Mistral with several feed-forwards in each layer."""

from typing import Any

from tissu_core.config.model import ModelConfig
from tissu_core.models.families.family import Family, Table
from tissu_core.models.families.llama import llama_table, read_llama

_DEFAULTS = {"rms_norm_eps": 1e-5, "num_local_experts": 8, "num_experts_per_tok": 2}
"""What a file means that does not say it."""
_THETA = 1_000_000.0
_FIELDS = ("num_local_experts", "num_experts_per_tok", "sliding_window")


def _to_table(config: ModelConfig) -> dict[str, Any]:
    return {**llama_table(config), **{name: getattr(config, name) for name in _FIELDS}}


def _from_table(table: Table) -> ModelConfig:
    table = {**_DEFAULTS, **table}
    found: dict[str, Any] = {name: table.get(name) for name in _FIELDS}
    return read_llama(table, _THETA, **found)


MIXTRAL = Family(
    model_type="mixtral",
    architecture="MixtralForCausalLM",
    to_table=_to_table,
    from_table=_from_table,
    names=(
        (".mlp.", ".block_sparse_moe."),
        (".gate_proj.", ".w1."),
        (".down_proj.", ".w2."),
        (".up_proj.", ".w3."),
    ),
)
