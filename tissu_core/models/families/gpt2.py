"""GPT-2: layer norms and biases everywhere, learned positions, matrices stored inputs first."""

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

_ACTIVATIONS = {"gelu": "gelu", "gelu_tanh": "gelu_new", "relu": "relu", "relu2": "relu2"}
_READ = {
    **{theirs: ours for ours, theirs in _ACTIVATIONS.items()},
    "gelu_pytorch_tanh": "gelu_tanh",
}


def _to_table(config: ModelConfig) -> dict[str, Any]:
    return {
        "vocab_size": config.vocab_size,
        "n_embd": config.hidden_size,
        "n_inner": config.intermediate_size,
        "n_layer": config.num_hidden_layers,
        "n_head": config.num_attention_heads,
        "n_positions": config.max_position_embeddings,
        "activation_function": _ACTIVATIONS.get(config.feed_forward),
        "layer_norm_epsilon": config.norm_eps,
        "tie_word_embeddings": config.tie_word_embeddings,
        **dict.fromkeys(("resid_pdrop", "embd_pdrop", "attn_pdrop"), 0.0),
    }


def _from_table(table: Table) -> ModelConfig:
    vocab_size, width, layers, heads, context = need_counts(
        table, "vocab_size", "n_embd", "n_layer", "n_head", "n_positions"
    )
    refuse(
        table,
        scale_attn_weights=True,
        scale_attn_by_inverse_layer_idx=False,
        add_cross_attention=False,
    )
    activation = table.get("activation_function", "gelu_new")
    if activation not in _READ:
        raise UnreadableConfigError(
            f"has the activation {activation!r}, which is not computed here"
        )
    return ModelConfig(
        vocab_size=vocab_size,
        hidden_size=width,
        intermediate_size=table.get("n_inner") or 4 * width,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=heads,
        head_dim=width // heads,
        max_position_embeddings=context,
        norm="layernorm",
        norm_eps=table.get("layer_norm_epsilon", 1e-5),
        feed_forward=_READ[activation],
        position_embedding="learned",
        tie_word_embeddings=bool(table.get("tie_word_embeddings", True)),
        qk_norm=False,
        use_bias=True,
    )


GPT2 = Family(
    model_type="gpt2",
    architecture="GPT2LMHeadModel",
    to_table=_to_table,
    from_table=_from_table,
    names=(
        ("model.embed_tokens", "transformer.wte"),
        ("model.embed_positions", "transformer.wpe"),
        ("model.layers", "transformer.h"),
        ("model.norm", "transformer.ln_f"),
        (".post_attention_layernorm", ".ln_2"),
        (".input_layernorm", ".ln_1"),
        (".self_attn.o_proj", ".attn.c_proj"),
        (".self_attn.", ".attn."),
        (".mlp.up_proj", ".mlp.c_fc"),
        (".mlp.down_proj", ".mlp.c_proj"),
    ),
    fused=(("c_attn", QKV),),
    prefix="transformer.",
    ignored=(".attn.bias", ".attn.masked_bias"),
    is_transposed=True,
)
