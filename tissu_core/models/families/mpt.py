"""MPT: layer norms without biases, ALiBi, a GELU block four times as wide."""

from typing import Any

from tissu_core.config.model import ModelConfig
from tissu_core.models.families.family import (
    QKV,
    Family,
    Table,
    UnreadableConfigError,
    need_counts,
    refuse,
)


def _to_table(config: ModelConfig) -> dict[str, Any]:
    return {
        "vocab_size": config.vocab_size,
        "d_model": config.hidden_size,
        "n_layers": config.num_hidden_layers,
        "n_heads": config.num_attention_heads,
        "max_seq_len": config.max_position_embeddings,
        "expansion_ratio": 4,
        "layer_norm_epsilon": config.norm_eps,
        "tie_word_embeddings": config.tie_word_embeddings,
        "no_bias": True,
        "learned_pos_emb": False,
        "attn_config": {"alibi": True, "alibi_bias_max": 8},
    }


def _from_table(table: Table) -> ModelConfig:
    vocab_size, width, layers, heads, context = need_counts(
        table, "vocab_size", "d_model", "n_layers", "n_heads", "max_seq_len"
    )
    refuse(table, no_bias=True, expansion_ratio=4, logit_scale=None)
    attention = table.get("attn_config")
    attention = attention if isinstance(attention, dict) else {}
    if attention.get("clip_qkv") or attention.get("softmax_scale"):
        raise UnreadableConfigError(
            "clips or scales attention, which this version does not compute"
        )
    refuse(
        attention,
        attn_type="multihead_attention",
        alibi=True,
        alibi_bias_max=8,
        prefix_lm=False,
        qk_ln=False,
    )
    return ModelConfig(
        vocab_size=vocab_size,
        hidden_size=width,
        intermediate_size=4 * width,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=heads,
        head_dim=width // heads,
        max_position_embeddings=context,
        norm="layernorm",
        norm_eps=table.get("layer_norm_epsilon", 1e-5),
        feed_forward="gelu",
        position_embedding="alibi",
        tie_word_embeddings=bool(table.get("tie_word_embeddings", True)),
        qk_norm=False,
    )


MPT = Family(
    model_type="mpt",
    architecture="MptForCausalLM",
    to_table=_to_table,
    from_table=_from_table,
    names=(
        ("model.embed_tokens", "transformer.wte"),
        ("model.layers", "transformer.blocks"),
        ("model.norm", "transformer.norm_f"),
        (".post_attention_layernorm", ".norm_2"),
        (".input_layernorm", ".norm_1"),
        (".self_attn.o_proj", ".attn.out_proj"),
        (".self_attn.", ".attn."),
        (".mlp.", ".ffn."),
    ),
    fused=(("Wqkv", QKV),),
)
