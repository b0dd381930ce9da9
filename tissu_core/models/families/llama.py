"""Llama, Mistral and Qwen3, whose module names are tissu's own."""

from dataclasses import fields
from typing import Any

from tissu_core.config.model import ModelConfig
from tissu_core.models.families.family import (
    Family,
    Table,
    UnreadableConfigError,
    need_counts,
    refuse,
)

_COUNTS = tuple(spec.name for spec in fields(ModelConfig)[:8])


def _shared_table(config: ModelConfig) -> dict[str, Any]:
    return {
        **{name: getattr(config, name) for name in _COUNTS},
        "rope_theta": config.rope_theta,
        "rms_norm_eps": config.norm_eps,
        "tie_word_embeddings": config.tie_word_embeddings,
        "hidden_act": "silu",
        "attention_dropout": 0.0,
    }


def _to_qwen3(config: ModelConfig) -> dict[str, Any]:
    window = config.sliding_window
    table = {
        **_shared_table(config),
        "attention_bias": False,
        "use_sliding_window": window is not None,
    }
    if window is not None:
        table |= {"sliding_window": window, "max_window_layers": 0}
    return table


def _to_llama(config: ModelConfig) -> dict[str, Any]:
    biases = {"attention_bias": config.use_bias, "mlp_bias": config.use_bias}
    return {**_shared_table(config), **biases}


def _to_mistral(config: ModelConfig) -> dict[str, Any]:
    return {**_shared_table(config), "sliding_window": config.sliding_window}


def _read_shared(table: Table, **rest: Any) -> ModelConfig:
    rope = table.get("rope_parameters") or table.get("rope_scaling") or {}
    if rope.get("rope_type", rope.get("type", "default")) != "default":
        raise UnreadableConfigError("uses rope scaling, which this version does not compute")
    refuse(table, hidden_act="silu")
    counts: dict[str, Any] = dict(zip(_COUNTS, need_counts(table, *_COUNTS), strict=True))
    return ModelConfig(
        **counts,
        norm_eps=table.get("rms_norm_eps", 1e-6),
        rope_theta=table.get("rope_theta") or rope.get("rope_theta", 10_000.0),
        tie_word_embeddings=bool(table.get("tie_word_embeddings", False)),
        **rest,
    )


def _from_qwen3(table: Table) -> ModelConfig:
    refuse(table, attention_bias=False)
    window = table.get("sliding_window") if table.get("use_sliding_window") else None
    kinds = table.get("layer_types") or []
    if window is not None and (table.get("max_window_layers") or len(set(kinds)) > 1):
        raise UnreadableConfigError("has windows in some layers, which this version does not read")
    return _read_shared(table, qk_norm=True, sliding_window=window)


def _with_heads(table: Table) -> Table:
    """Older files leave out what follows from the heads; Qwen3's always say it."""
    width, heads = need_counts(table, "hidden_size", "num_attention_heads")
    derived = {"num_key_value_heads": heads, "head_dim": width // heads}
    said = {name: value for name, value in table.items() if value is not None}
    return {**derived, **said}


def _from_llama(table: Table) -> ModelConfig:
    bias = bool(table.get("attention_bias"))
    refuse(table, mlp_bias=bias, pretraining_tp=1)
    return _read_shared(_with_heads(table), qk_norm=False, use_bias=bias)


def _from_mistral(table: Table) -> ModelConfig:
    window = table.get("sliding_window")
    return _read_shared(_with_heads(table), qk_norm=False, sliding_window=window)


QWEN3 = Family(
    model_type="qwen3",
    architecture="Qwen3ForCausalLM",
    to_table=_to_qwen3,
    from_table=_from_qwen3,
)
LLAMA = Family(
    model_type="llama",
    architecture="LlamaForCausalLM",
    to_table=_to_llama,
    from_table=_from_llama,
)
MISTRAL = Family(
    model_type="mistral",
    architecture="MistralForCausalLM",
    to_table=_to_mistral,
    from_table=_from_mistral,
)
