"""How large a model is and what a token of it costs, by closed formulas."""

from tissu_core.config.model import LayerKind, ModelConfig


def num_parameters(config: ModelConfig) -> int:
    """All parameters; tied embeddings count once."""
    embedding = config.vocab_size * config.hidden_size
    positions = config.max_position_embeddings * config.hidden_size
    return (
        embedding * (1 if config.tie_word_embeddings else 2)
        + (positions if config.position_embedding == "learned" else 0)
        + config.num_hidden_layers * _block_parameters(config)
        + _norm_parameters(config, config.hidden_size)
    )


def train_flops_per_token(config: ModelConfig) -> float:
    """Operations of forward and backward for one token of a full context.

    6 per matrix parameter, and 6 T H D per layer for causal attention over T tokens, or over the
    mean of what the layer's window shows.
    Source: Chowdhery et al. 2022, arXiv:2204.02311, appendix B, halved for causality.
    """
    used = _block_matrices(config, config.num_experts_per_tok or 1)
    matrices = config.num_hidden_layers * used
    matrices += config.vocab_size * config.hidden_size
    seen = sum(_mean_seen(kind, config.max_position_embeddings) for kind in config.layer_kinds)
    return 6.0 * matrices + 12.0 * seen * config.num_attention_heads * config.head_dim


def model_flops_per_token(config: ModelConfig) -> float:
    """Operations of forward and backward for one token, as model FLOPs utilisation counts them.

    6 N + 12 L H Q T: N parameters that a token is multiplied with, L layers of H heads of size Q,
    and T tokens of context, of which causal attention needs half. What is computed again to save
    memory does not count. Source: Chowdhery et al. 2022, arXiv:2204.02311, appendix B.
    """
    context, used = config.max_position_embeddings, config.num_experts_per_tok or 1
    matrices = config.num_hidden_layers * _block_matrices(config, used)
    matrices += config.vocab_size * config.hidden_size
    seen = sum(min(kind.window or context, context) for kind in config.layer_kinds)
    return 6.0 * matrices + 12.0 * seen * config.num_attention_heads * config.head_dim


_IDLE_BYTES = 30e6
"""What torch imports and keeps once it takes steps."""
_LOGITS_BYTES = 256e6
"""The most at once; on a CPU it is less (models/loss.py)."""
_FP32_AGAIN = 1.8
"""Activations in fp32 against those beside products in 16 bits, whose residual is in fp32, too."""


def train_bytes(
    config: ModelConfig,
    sequences: int,
    recompute: str = "none",
    *,
    is_fp32: bool = False,
    is_averaged: bool = False,
) -> float:
    """Rough peak memory of a training step: weights, gradients, moments, activations, logits.

    ``recompute`` says whose activations are dropped and computed again, one layer's at a time:
    those of "none", "ffn" or "block". Fitted to 4 x 256, 4 x 512 and 8 x 512 with 512 to 4,096
    tokens at once on a CPU (benchmarks/memory.py): from 8 % less than measured to 20 % more.
    """
    parts = train_parts(config, sequences, recompute, is_fp32=is_fp32, is_averaged=is_averaged)
    return sum(parts.values())


def train_parts(
    config: ModelConfig,
    sequences: int,
    recompute: str = "none",
    *,
    is_fp32: bool = False,
    is_averaged: bool = False,
) -> dict[str, float]:
    """What ``train_bytes`` is the sum of, by what it is for; moments are two of each parameter."""
    tokens, layers = sequences * config.max_position_embeddings, config.num_hidden_layers
    mixing = 40 * config.hidden_size
    feeding = 18 * (config.num_experts_per_tok or 1) * config.intermediate_size
    again = 1.5  # of one layer, with the gradients that are on their way
    kept = {
        "none": layers * (mixing + feeding),
        "ffn": layers * mixing + again * feeding,
        "block": layers * 4 * config.hidden_size + again * (mixing + feeding),
    }
    ends = 48 * config.hidden_size  # of embeddings and the last norm
    activations = tokens * (kept[recompute] + ends) * (_FP32_AGAIN if is_fp32 else 1.0)
    logits = min(2.0 * tokens * config.vocab_size, _LOGITS_BYTES)
    each = 4.0 * num_parameters(config)
    return {
        "program": _IDLE_BYTES,
        "weights": each,
        "gradients": each,
        "moments": 2 * each,
        "averaged weights": each if is_averaged else 0.0,
        "activations": activations,
        "logits": logits,
    }


def _mean_seen(kind: LayerKind, context: int) -> float:
    """Tokens that a token of a full context attends to, itself as half of one."""
    window = min(kind.window or context, context)
    return window - window * window / (2 * context)


def checkpoint_bytes(config: ModelConfig, *, is_averaged: bool = False) -> float:
    """Disk space of a run's checkpoint: fp32 weights, two moments of each and maybe a mean."""
    return (16.0 if is_averaged else 12.0) * num_parameters(config)


def _block_matrices(config: ModelConfig, experts: int) -> int:
    queries = config.num_attention_heads * config.head_dim
    keys = config.num_key_value_heads * config.head_dim
    attention = config.hidden_size * (2 * queries + 2 * keys)
    matrices = experts * (3 if config.is_gated else 2)
    router = config.hidden_size * config.num_local_experts
    return attention + matrices * config.hidden_size * config.intermediate_size + router


def _block_parameters(config: ModelConfig) -> int:
    norms = (4 if config.has_post_norms else 2) * _norm_parameters(config, config.hidden_size)
    if config.qk_norm:
        norms += 2 * _norm_parameters(config, config.head_dim)
    matrices = _block_matrices(config, config.num_local_experts or 1)
    return matrices + norms + _projection_biases(config)


def _norm_parameters(config: ModelConfig, size: int) -> int:
    return size * (2 if config.norm == "layernorm" and config.use_bias else 1)


def _projection_biases(config: ModelConfig) -> int:
    queries = config.num_attention_heads * config.head_dim
    keys = config.num_key_value_heads * config.head_dim
    ups = config.intermediate_size * (2 if config.is_gated else 1)
    mlps = (config.num_local_experts or 1) * (ups + config.hidden_size)
    sizes = {"qkv": queries + 2 * keys, "o": config.hidden_size, "mlp": mlps}
    return sum(size for projection, size in sizes.items() if config.has_bias(projection))


def kv_bytes_per_token(config: ModelConfig, bytes_per_value: int = 4) -> int:
    """Cached keys and values of one token in all layers; fp32, as tissu decodes, unless given."""
    return config.num_hidden_layers * _kv_values(config) * bytes_per_value


def _kv_values(config: ModelConfig) -> int:
    return 2 * config.num_key_value_heads * config.head_dim


def kv_cache_bytes(config: ModelConfig) -> int:
    """The largest a cache grows in fp32: each layer's whole context, or room for two windows."""
    context = config.max_position_embeddings
    held = sum(min(context, 2 * (kind.window or context)) for kind in config.layer_kinds)
    return 4 * held * _kv_values(config)
