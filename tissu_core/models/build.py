"""From configuration to a module."""

import torch

from tissu_core.config.model import ModelConfig
from tissu_core.models.decoder import Decoder
from tissu_core.models.init import init_weights


def build_model(
    config: ModelConfig,
    *,
    device: torch.device,
    seed: int,
    dropout: float = 0.0,
    init: str = "identity",
) -> Decoder:
    """A decoder with first weights that depend on seed and scheme alone, not on the device."""
    with torch.device("meta"):
        model = Decoder(config, dropout)
    model.to_empty(device="cpu")
    if config.tie_word_embeddings:
        model.lm_head.weight = model.model.embed_tokens.weight
    init_weights(model, seed, init)
    return model.to(device)


def build_empty(config: ModelConfig) -> Decoder:
    """A decoder on the meta device: shapes without memory, for counting and loading."""
    with torch.device("meta"):
        return Decoder(config)
