"""Gemma 2 and 3: norms on both sides of each part, windows in most layers, scores that are capped.

Sources: Riviere et al. 2024, arXiv:2408.00118; Gemma Team 2025, arXiv:2503.19786.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from tissu_core.config.model import ModelConfig
from tissu_core.models.families.family import (
    Family,
    Table,
    UnreadableConfigError,
    need_counts,
    refuse,
)
from tissu_core.models.families.llama import llama_table, read_llama
from tissu_core.models.families.windows import layer_types, read_windows

# What a file means that does not say it.
_BOTH = {
    "num_attention_heads": 8,
    "num_key_value_heads": 4,
    "head_dim": 256,
    "query_pre_attn_scalar": 256,
    "sliding_window": 4096,
    "tie_word_embeddings": True,
}
_GEMMA2 = _BOTH | {"attn_logit_softcapping": 50.0, "final_logit_softcapping": 30.0}
_GEMMA3 = _BOTH | {
    "vocab_size": 262_208,
    "max_position_embeddings": 131_072,
    "sliding_window_pattern": 6,
}
_LOCAL_THETA = 10_000.0
_CAPS = ("attn_logit_softcapping", "final_logit_softcapping")


def _shared_table(config: ModelConfig) -> dict[str, Any]:
    return {
        **llama_table(config),
        "hidden_act": "gelu_pytorch_tanh",
        "hidden_activation": "gelu_pytorch_tanh",
        "attention_bias": False,
        "query_pre_attn_scalar": config.query_pre_attn_scalar or config.head_dim,
        "sliding_window": config.sliding_window,
        "layer_types": layer_types(config),
    }


def _read_shared(table: Table, default_theta: float, pattern: int, **rest: Any) -> ModelConfig:
    """The shape of one in which each ``pattern``-th layer has no window."""
    refuse(
        table,
        hidden_activation="gelu_pytorch_tanh",
        attention_bias=False,
        use_bidirectional_attention=False,
    )
    width, count, head_dim = need_counts(table, "hidden_size", "num_hidden_layers", "head_dim")
    scalar = table["query_pre_attn_scalar"]
    return read_llama(
        {**table, "hidden_act": None},  # which only older files name, beside the other
        default_theta,
        feed_forward="geglu_tanh",
        has_post_norms=True,
        embedding_multiplier=width**0.5,
        query_pre_attn_scalar=None if scalar == head_dim else scalar,
        **read_windows(
            {**table, "use_sliding_window": True},
            [index for index in range(count) if (index + 1) % pattern],
        ),
        **rest,
    )


def _to_gemma2(config: ModelConfig) -> dict[str, Any]:
    return {**_shared_table(config), **{name: getattr(config, name) for name in _CAPS}}


def _from_gemma2(table: Table) -> ModelConfig:
    table = {**_GEMMA2, **table}
    return _read_shared(table, 10_000.0, 2, **{name: table[name] for name in _CAPS})


def _to_gemma3(config: ModelConfig) -> dict[str, Any]:
    return {**_shared_table(config), "rope_local_base_freq": config.rope_local_base_freq}


def _from_gemma3(table: Table) -> ModelConfig:
    refuse(table, **dict.fromkeys(_CAPS))
    table = {**_GEMMA3, **_one_rope(table)}
    (pattern,) = need_counts(table, "sliding_window_pattern")
    local = table.get("rope_local_base_freq") or _LOCAL_THETA
    return _read_shared(table, 1e6, pattern, qk_norm=True, rope_local_base_freq=local)


def _one_rope(table: Table) -> Table:
    """Newer files have a rotation for each kind of layer; the table as older ones spell it."""
    rope = table.get("rope_parameters")
    if not isinstance(rope, Mapping) or "full_attention" not in rope:
        return table
    local = rope.get("sliding_attention")
    local = local if isinstance(local, Mapping) else {}
    refuse(local, rope_type="default")
    local_theta = {"rope_local_base_freq": local.get("rope_theta")}
    return {**table, "rope_parameters": rope["full_attention"], **local_theta}


def _from_whole_gemma3(table: Table) -> ModelConfig:
    text = table.get("text_config")
    if not isinstance(text, Mapping):
        raise UnreadableConfigError("lacks text_config")
    need_counts(text, "hidden_size", "intermediate_size", "num_hidden_layers")
    return _from_gemma3(text)


_NORMS = (
    (".attention_output_norm", ".post_attention_layernorm"),
    (".post_attention_layernorm", ".pre_feedforward_layernorm"),
    (".mlp_output_norm", ".post_feedforward_layernorm"),
)
_SIGHT = ("vision_tower.", "multi_modal_projector.")
GEMMA2 = Family(
    model_type="gemma2",
    architecture="Gemma2ForCausalLM",
    to_table=_to_gemma2,
    from_table=_from_gemma2,
    names=_NORMS,
    norms_less_one=True,
)
GEMMA3_TEXT = Family(
    model_type="gemma3_text",
    architecture="Gemma3ForCausalLM",
    to_table=_to_gemma3,
    from_table=_from_gemma3,
    names=_NORMS,
    norms_less_one=True,
)
GEMMA3 = replace(  # with eyes, of which nothing is read
    GEMMA3_TEXT,
    model_type="gemma3",
    from_table=_from_whole_gemma3,
    names=(*_NORMS, ("model.", "language_model.model."), ("model.", "model.language_model.")),
    unread=(*_SIGHT, *(f"model.{part}" for part in _SIGHT)),
    written=GEMMA3_TEXT,
)
