"""Mixture of experts: many feed-forwards, of which each token uses a few."""

import torch
from torch import Tensor, nn

from tissu_core.config.model import ModelConfig
from tissu_core.layers.feed_forward import build_feed_forward


class MixtureOfExperts(nn.Module):
    """The k of E experts with the highest scores, weighted by the softmax of these scores.

    Each expert computes its own tokens only. No loss evens out how much each is used.
    Sources: Shazeer et al. 2017, arXiv:1701.06538; Mixtral, Jiang et al. 2024, arXiv:2401.04088.
    Shapes: (B, T, C) to (B, T, C); N is B T.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.chosen = config.num_experts_per_tok
        self.gate = nn.Linear(config.hidden_size, config.num_local_experts, bias=False)
        self.experts = nn.ModuleList(
            build_feed_forward(
                config.feed_forward,
                config.hidden_size,
                config.intermediate_size,
                bias=config.has_bias("mlp"),
            )
            for _ in range(config.num_local_experts)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Sort the tokens by expert, let each work on its own, and add up at every token."""
        tokens = x.flatten(0, -2)
        scores, experts = self.gate(tokens).topk(self.chosen)  # (N, k)
        wide = torch.promote_types(x.dtype, torch.float32)
        shares = scores.softmax(-1, dtype=wide).to(x.dtype)
        order = experts.flatten().argsort(stable=True)
        counts = experts.flatten().bincount(minlength=len(self.experts)).tolist()
        parts = torch.split(tokens[order // self.chosen], counts)
        pairs = zip(self.experts, parts, strict=True)
        done = torch.cat([expert(part) for expert, part in pairs if len(part)])
        outputs = done[order.argsort()].view(*shares.shape, -1)  # (N, k, C)
        out: Tensor = (shares[..., None] * outputs).sum(1).view_as(x)
        return out
