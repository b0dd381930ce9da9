"""From configuration to a module with fresh weights."""

import torch
from torch import nn

from tissu_core.config.model import ModelConfig
from tissu_core.models.decoder import Decoder

INIT_STD = 0.02  # GPT-2, and Hugging Face's default for Qwen3


def build_model(
    config: ModelConfig, *, device: torch.device, seed: int, dropout: float = 0.0
) -> Decoder:
    """A decoder with initial weights that depend on the seed alone, not on the device."""
    with torch.device("meta"):
        model = Decoder(config, dropout)
    model.to_empty(device="cpu")
    if config.tie_word_embeddings:
        model.lm_head.weight = model.model.embed_tokens.weight
    init_weights(model, seed)
    return model.to(device)


def build_empty(config: ModelConfig) -> Decoder:
    """A decoder on the meta device: shapes without memory, for counting and loading."""
    with torch.device("meta"):
        return Decoder(config)


@torch.no_grad()
def init_weights(model: Decoder, seed: int) -> None:
    """Normal weights of standard deviation 1/sqrt(inputs), outputs of blocks zero, head small.

    Blocks that start as the identity let a deep stack learn at the rate of a shallow one (Zhang et
    al. 2019, arXiv:1901.09321). The head starts near the uniform guess, so the first loss is ln V.
    """
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in model.named_parameters():
        if name.endswith("norm.weight"):
            parameter.fill_(1.0)
        elif name.endswith(("o_proj.weight", "down_proj.weight")):
            parameter.zero_()
        elif name == "lm_head.weight" or name == "model.embed_tokens.weight":
            tied = model.config.tie_word_embeddings
            std = INIT_STD if tied or name == "lm_head.weight" else 1.0
            nn.init.normal_(parameter, std=std, generator=generator)
        else:
            nn.init.normal_(parameter, std=parameter.shape[1] ** -0.5, generator=generator)
