"""Llama and Mistral, whose module names are tissu's own; others share their fields."""

from collections.abc import Sequence
from dataclasses import fields
from typing import Any

from tissu_core.config.model import ModelConfig
from tissu_core.models.families.family import Family, Table, need_counts, refuse
from tissu_core.models.families.rope import read_rope, rope_table

_SCALES = (
    "attention_multiplier",
    "embedding_multiplier",
    "residual_multiplier",
    "logits_scaling",
    "logit_scale",
)
"""By what Granite, Cohere and their kind multiply, whatever name their files go by."""
COUNTS = tuple(spec.name for spec in fields(ModelConfig)[:8])


def llama_table(config: ModelConfig) -> dict[str, Any]:
    """What Llama and the families that grew from it say alike."""
    return {
        **{name: getattr(config, name) for name in COUNTS},
        **rope_table(config),
        "rms_norm_eps": config.norm_eps,
        "tie_word_embeddings": config.tie_word_embeddings,
        "hidden_act": "silu",
        "attention_dropout": 0.0,
    }


def _to_llama(config: ModelConfig) -> dict[str, Any]:
    return {**llama_table(config), **bias_table(config)}


def _to_mistral(config: ModelConfig) -> dict[str, Any]:
    return {**llama_table(config), "sliding_window": config.sliding_window}


def bias_table(config: ModelConfig) -> dict[str, bool]:
    """``attention_bias`` and ``mlp_bias``."""
    return {"attention_bias": config.has_bias("o"), "mlp_bias": config.has_bias("mlp")}


def read_biases(table: Table) -> dict[str, Any]:
    """Fields of ``ModelConfig`` from ``attention_bias`` and ``mlp_bias``."""
    attention, mlp = bool(table.get("attention_bias")), bool(table.get("mlp_bias"))
    parts = (("qkv", "o") if attention else ()) + (("mlp",) if mlp else ())
    is_all = attention and mlp
    return {"use_bias": is_all, "projection_bias": () if is_all else parts}


def read_llama(
    table: Table,
    default_theta: float = 10_000.0,
    rope_types: Sequence[str] = ("linear", "llama3", "yarn"),
    **rest: Any,
) -> ModelConfig:
    """The shape of a family that differs from Llama in ``rest``.

    Raises:
        UnreadableConfigError: If a count is missing, or something is not computed here.
    """
    width, heads = need_counts(table, "hidden_size", "num_attention_heads")
    said = {name: value for name, value in table.items() if value is not None}
    table = {"num_key_value_heads": heads, "head_dim": width // heads, **said}
    counts: dict[str, Any] = dict(zip(COUNTS, need_counts(table, *COUNTS), strict=True))
    refuse(table, hidden_act="silu", is_causal=True, **dict.fromkeys(_SCALES, 1))
    return ModelConfig(
        **counts,
        norm_eps=table.get("rms_norm_eps", 1e-6),
        tie_word_embeddings=bool(table.get("tie_word_embeddings", False)),
        **read_rope(table, default_theta, rope_types),
        **{"qk_norm": False, **rest},
    )


def _from_llama(table: Table) -> ModelConfig:
    return read_llama(table, **read_biases(table))


def _from_mistral(table: Table) -> ModelConfig:
    return read_llama(table, sliding_window=table.get("sliding_window", 4096))


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
