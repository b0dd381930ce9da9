"""The facts of a GGUF file as the ``config.json`` of the same model at Hugging Face."""

import math
from typing import Any

from tissu_core.checkpoint.gguf.facts import Facts
from tissu_core.config.rope import RopeScaling

Table = dict[str, Any]
_LLAMA3: dict[str, Any] = {
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 8192,
}
"""Of every Llama 3.1 to 3.3; a GGUF file holds only what follows from them."""
_TURNS = ("fast", "slow")
_NOT_COMPUTED = (
    "attention.scale",
    "embedding_scale",
    "residual_scale",
    "logit_scale",
    "rope.scaling.yarn_ext_factor",
    "rope.scaling.yarn_attn_factor",
    "rope.scaling.yarn_log_multiplier",
)
"""What other architectures' files say, and would change the result."""


def llama(facts: Facts) -> Table:
    """Llama and what else has its shape; Mixtral, where there are experts; Mistral, by a window."""
    if facts.get("expert_count"):
        return _mixtral(facts)
    if _window(facts) is not None:
        return {**_shared(facts), "model_type": "mistral", "sliding_window": _window(facts)}
    biases = {
        "attention_bias": facts.has_tensor("blk.0.attn_q.bias"),
        "mlp_bias": facts.has_tensor("blk.0.ffn_up.bias"),
    }
    return {**_shared(facts), **_llama3_scaling(facts), "model_type": "llama", **biases}


def _mixtral(facts: Facts) -> Table:
    experts = {
        "num_local_experts": facts.experts(),
        "num_experts_per_tok": facts.count("expert_used_count"),
        "sliding_window": _window(facts),
    }
    return {**_shared(facts), "model_type": "mixtral", **experts}


def qwen2(facts: Facts) -> Table:
    """Qwen2 and Qwen2.5."""
    return {**_shared(facts), "model_type": "qwen2", "use_sliding_window": False}


def qwen3(facts: Facts) -> Table:
    """Qwen3 of dense layers."""
    return {**_shared(facts), "model_type": "qwen3", "use_sliding_window": False}


def smollm3(facts: Facts) -> Table:
    """SmolLM3, in which every fourth layer has no rotary positions."""
    rotates = [int((index + 1) % 4 != 0) for index in range(facts.blocks())]
    return {**_shared(facts), "model_type": "smollm3", "no_rope_layers": rotates}


def phi3(facts: Facts) -> Table:
    """Phi-3, with long-context factors where the file has them."""
    table = {**_shared(facts, is_partial=True), "model_type": "phi3"}
    table["sliding_window"] = _window(facts)
    table["partial_rotary_factor"] = facts.count("rope.dimension_count") / table["head_dim"]
    long, short = (facts.vector(f"rope_factors_{kind}.weight") for kind in ("long", "short"))
    if long or short:
        scaling = {"rope_type": "longrope", "long_factor": long, "short_factor": short}
        original = facts.count("rope.scaling.original_context_length", most=1 << 24)
        table |= {"rope_scaling": scaling, "original_max_position_embeddings": original}
    return table


def gemma2(facts: Facts) -> Table:
    """Gemma 2."""
    return {
        **_gemma(facts, largest=46),
        "model_type": "gemma2",
        "attn_logit_softcapping": facts.number("attn_logit_softcapping", 50.0),
        "final_logit_softcapping": facts.number("final_logit_softcapping", 30.0),
    }


def gemma3(facts: Facts) -> Table:
    """The text part of Gemma 3, in which every sixth layer sees everything."""
    kinds = ["sliding_attention"] * 5 + ["full_attention"]
    layers = facts.blocks()
    return {
        **_gemma(facts, largest=62),
        "model_type": "gemma3_text",
        "rope_local_base_freq": facts.number("rope.freq_base_swa", 10_000.0),
        "layer_types": (kinds * (layers // 6 + 1))[:layers],
    }


def gpt2(facts: Facts) -> Table:
    """GPT-2."""
    return {
        "model_type": "gpt2",
        "vocab_size": facts.vocab_size(),
        "n_embd": facts.count("embedding_length"),
        "n_inner": facts.count("feed_forward_length"),
        "n_layer": facts.blocks(),
        "n_head": facts.count("attention.head_count"),
        "n_positions": facts.positions(),
        "layer_norm_epsilon": facts.number("attention.layer_norm_epsilon", 1e-5),
        "tie_word_embeddings": _is_tied(facts),
    }


def mpt(facts: Facts) -> Table:
    """MPT."""
    width = facts.count("embedding_length")
    return {
        "model_type": "mpt",
        "vocab_size": facts.vocab_size(),
        "d_model": width,
        "n_layers": facts.blocks(),
        "n_heads": facts.count("attention.head_count"),
        "max_seq_len": facts.positions(),
        "expansion_ratio": facts.count("feed_forward_length") / width,
        "layer_norm_epsilon": facts.number("attention.layer_norm_epsilon", 1e-5),
        "tie_word_embeddings": _is_tied(facts),
        "attn_config": {
            "alibi": bool(facts.get("attention.max_alibi_bias")),
            "alibi_bias_max": facts.get("attention.max_alibi_bias"),
            "clip_qkv": facts.get("attention.clamp_kqv"),
        },
    }


def _shared(facts: Facts, *, is_partial: bool = False) -> Table:
    """What most of them say alike; ``is_partial``: heads may be rotated in part."""
    heads, width = facts.count("attention.head_count"), facts.count("embedding_length")
    head_dim = facts.count("attention.key_length", max(1, width // heads))
    for key in ("rope.dimension_count", "attention.value_length")[is_partial:]:
        if facts.count(key, head_dim) != head_dim:
            raise facts.refusal(key, facts.get(key), f"{head_dim}, the size of a head")
    for key in _NOT_COMPUTED:
        if facts.get(key) is not None:
            raise facts.refusal(key, facts.get(key), "nothing; it is not computed here")
    table: Table = {
        "vocab_size": facts.vocab_size(),
        "hidden_size": width,
        "intermediate_size": facts.count("feed_forward_length"),
        "num_hidden_layers": facts.blocks(),
        "num_attention_heads": heads,
        "num_key_value_heads": facts.count("attention.head_count_kv", heads),
        "head_dim": head_dim,
        "max_position_embeddings": facts.positions(),
        "rms_norm_eps": facts.number("attention.layer_norm_rms_epsilon", 1e-6),
        "rope_theta": facts.number("rope.freq_base", 10_000.0),
        "tie_word_embeddings": _is_tied(facts),
    }
    kind = facts.get("rope.scaling.type", "none")
    if kind not in ("none", "longrope"):  # that one is told by tensors
        factor = facts.number("rope.scaling.factor", 1.0)
        original = facts.get("rope.scaling.original_context_length")
        said = {} if original is None else {"original_max_position_embeddings": original}
        turns = {f"beta_{name}": facts.get(f"rope.scaling.yarn_beta_{name}") for name in _TURNS}
        table["rope_scaling"] = {"rope_type": kind, "factor": factor, **said, **turns}
    return table


def _llama3_scaling(facts: Facts) -> Table:
    """The scaling whose factors the file holds, if it holds some.

    Source: Llama 3.1; transformers calls it ``llama3``.
    """
    factors = facts.vector("rope_freqs.weight")
    if not factors:
        return {}
    theta, factor = facts.number("rope.freq_base", 10_000.0), max(factors)
    if not 1 <= factor < 1e6:
        raise facts.refusal("rope_freqs.weight", factor, "1..1e6")
    rule = RopeScaling(rope_type="llama3", factor=factor, **_LLAMA3)
    expected = rule.llama3_factors(theta, 2 * len(factors))
    for index, (found, wanted) in enumerate(zip(factors, expected, strict=True)):
        if not math.isclose(wanted, found, rel_tol=1e-3):
            raise facts.refusal("rope_freqs.weight", f"{found:g} at {index}", "Llama 3's factors")
    return {"rope_scaling": {"rope_type": "llama3", "factor": factor, **_LLAMA3}}


def _gemma(facts: Facts, largest: int) -> Table:
    """What Gemmas share.

    The largest of a generation, known by its layers alone, divides scores as if heads were as wide
    as their share of the width; the files do not say it.
    """
    table = _shared(facts)
    head_dim = table["head_dim"]
    if table["num_hidden_layers"] == largest:
        head_dim = table["hidden_size"] // table["num_attention_heads"]
    return {
        **table,
        "sliding_window": _window(facts),
        "query_pre_attn_scalar": head_dim,
        "hidden_activation": "gelu_pytorch_tanh",
    }


def _window(facts: Facts) -> int | None:
    if facts.get("attention.sliding_window") is None:
        return None
    return facts.count("attention.sliding_window", most=1 << 24)


def _is_tied(facts: Facts) -> bool:
    return not facts.has_tensor("output.weight")
