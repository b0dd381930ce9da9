"""How large a model is and what a token of it costs, by closed formulas."""

from tissu_core.config.model import ModelConfig


def num_parameters(config: ModelConfig) -> int:
    """All parameters; tied embeddings count once."""
    embedding = config.vocab_size * config.hidden_size
    return (
        embedding * (1 if config.tie_word_embeddings else 2)
        + config.num_hidden_layers * _block_parameters(config)
        + config.hidden_size
    )


def train_flops_per_token(config: ModelConfig) -> float:
    """Operations of forward and backward for one token of a full context.

    6 per matrix parameter, and 6 T H D per layer for causal attention.
    Source: Chowdhery et al. 2022, arXiv:2204.02311, appendix B, halved for causality.
    """
    matrices = config.num_hidden_layers * _block_matrices(config)
    matrices += config.vocab_size * config.hidden_size
    attended = config.max_position_embeddings * config.num_attention_heads * config.head_dim
    return 6.0 * matrices + 6.0 * config.num_hidden_layers * attended


def train_bytes(config: ModelConfig, sequences: int) -> float:
    """Rough peak memory of a training step: weights, gradients, moments, activations, logits."""
    tokens = sequences * config.max_position_embeddings
    per_layer = 14 * config.hidden_size + 6 * config.intermediate_size
    activations = tokens * config.num_hidden_layers * per_layer * 2
    logits = tokens * config.vocab_size * 2
    return 20.0 * num_parameters(config) + activations + logits


def checkpoint_bytes(config: ModelConfig) -> float:
    """Disk space of a run's checkpoint: fp32 weights and at most two moments of each."""
    return 12.0 * num_parameters(config)


def _block_matrices(config: ModelConfig) -> int:
    queries = config.num_attention_heads * config.head_dim
    keys = config.num_key_value_heads * config.head_dim
    attention = config.hidden_size * (2 * queries + 2 * keys)
    return attention + 3 * config.hidden_size * config.intermediate_size


def _block_parameters(config: ModelConfig) -> int:
    return _block_matrices(config) + 2 * config.hidden_size + 2 * config.head_dim
