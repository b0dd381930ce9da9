"""A model's shape as the facts of a GGUF file; ``tables.py`` goes the other way."""

from collections.abc import Iterator
from typing import Any

from tissu_core.config.model import ModelConfig
from tissu_core.config.rope import RopeScaling

FILE_TYPES = {"f32": 0, "f16": 1, "q8_0": 7, "q4_0": 2, "q4_k": 14}
"""GGUF's number of a file by the type of most of its matrices."""
_ALIBI = 8.0
"""The largest bias of a token of distance 1, by its power of two; what Press et al. have."""


def shape_metadata(config: ModelConfig, architecture: str) -> dict[str, Any]:
    """What the header says of a shape; whether it says all is seen by reading it back."""
    found = {f"{architecture}.{key}": value for key, value in _facts(config)}
    return {key: value for key, value in found.items() if value is not None}


def rope_vectors(config: ModelConfig) -> dict[str, list[float]]:
    """By how much each frequency is divided, where GGUF keeps that as tensors."""
    scaling = config.rope_scaling
    match scaling:
        case RopeScaling(rope_type="longrope"):
            return {
                "rope_factors_long.weight": [*scaling.long_factor],
                "rope_factors_short.weight": [*scaling.short_factor],
            }
        case RopeScaling(rope_type="llama3"):
            return {
                "rope_freqs.weight": [*scaling.llama3_factors(config.rope_theta, config.rotary_dim)]
            }
        case _:
            return {}


def _facts(config: ModelConfig) -> Iterator[tuple[str, Any]]:
    is_rms = config.norm == "rmsnorm"
    yield from {
        "block_count": config.num_hidden_layers,
        "context_length": config.max_position_embeddings,
        "embedding_length": config.hidden_size,
        "feed_forward_length": config.intermediate_size,
        "vocab_size": config.vocab_size,
        "attention.head_count": config.num_attention_heads,
        "attention.head_count_kv": config.num_key_value_heads,
        "attention.key_length": config.head_dim,
        "attention.value_length": config.head_dim,
        "attention.layer_norm_rms_epsilon" if is_rms else "attention.layer_norm_epsilon": float(
            config.norm_eps
        ),
        "attention.sliding_window": config.sliding_window,
        "attn_logit_softcapping": _number(config.attn_logit_softcapping),
        "final_logit_softcapping": _number(config.final_logit_softcapping),
        "expert_count": config.num_local_experts or None,
        "expert_used_count": config.num_experts_per_tok or None,
    }.items()
    if config.position_embedding == "alibi":
        yield "attention.max_alibi_bias", _ALIBI
    if config.position_embedding == "rope":
        yield "rope.dimension_count", config.rotary_dim
        yield "rope.freq_base", float(config.rope_theta)
        yield "rope.freq_base_swa", _number(config.rope_local_base_freq)
        if config.rope_scaling is not None:
            yield from _scaling(config.rope_scaling)


def _scaling(scaling: RopeScaling) -> Iterator[tuple[str, Any]]:
    match scaling.rope_type:
        case "linear":
            yield "rope.scaling.type", "linear"
            yield "rope.scaling.factor", float(scaling.factor)
        case "yarn":
            yield "rope.scaling.type", "yarn"
            yield "rope.scaling.factor", float(scaling.factor)
            yield "rope.scaling.original_context_length", scaling.original_max_position_embeddings
            yield "rope.scaling.yarn_beta_fast", float(scaling.beta_fast)
            yield "rope.scaling.yarn_beta_slow", float(scaling.beta_slow)
        case "longrope":
            yield "rope.scaling.original_context_length", scaling.original_max_position_embeddings
            yield "rope.scaling.attn_factor", float(scaling.attention_scale)
        case _:  # llama3 is told by a tensor
            pass


def _number(value: float | None) -> float | None:
    return None if value is None else float(value)
