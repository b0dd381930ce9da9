"""Qwen2, with biases on queries, keys and values; Qwen3, with norms on queries and keys."""

from typing import Any

from tissu_core.config.model import ModelConfig
from tissu_core.models.families.family import Family, Table, need_counts, refuse
from tissu_core.models.families.llama import llama_table, read_biases, read_llama
from tissu_core.models.families.windows import read_windows, window_table


def _to_qwen2(config: ModelConfig) -> dict[str, Any]:
    return {**llama_table(config), **window_table(config)}


def _to_qwen3(config: ModelConfig) -> dict[str, Any]:
    return {**_to_qwen2(config), "attention_bias": config.has_bias("o")}


def _windows(table: Table) -> dict[str, Any]:
    (count,) = need_counts(table, "num_hidden_layers")
    return read_windows(table, range(table.get("max_window_layers", 28), count))


def _from_qwen2(table: Table) -> ModelConfig:
    return read_llama(table, projection_bias=("qkv",), **_windows(table))


def _from_qwen3(table: Table) -> ModelConfig:
    refuse(table, mlp_bias=False)
    need_counts(table, "head_dim", "num_key_value_heads")
    return read_llama(table, qk_norm=True, **read_biases(table), **_windows(table))


QWEN2 = Family(
    model_type="qwen2",
    architecture="Qwen2ForCausalLM",
    to_table=_to_qwen2,
    from_table=_from_qwen2,
)
QWEN3 = Family(
    model_type="qwen3",
    architecture="Qwen3ForCausalLM",
    to_table=_to_qwen3,
    from_table=_from_qwen3,
)
