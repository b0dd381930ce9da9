"""The gated feed-forward block."""

import torch.nn.functional as F
from torch import Tensor, nn


class SwiGLU(nn.Module):
    """(silu(x W_gate) * (x W_up)) W_down. Source: Shazeer 2020, arXiv:2002.05202.

    Shapes: (B, T, C) to (B, T, C), with F channels between.
    """

    def __init__(self, hidden_size: int, intermediate_size: int) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(hidden_size, intermediate_size, bias=False)
        self.up_proj = nn.Linear(hidden_size, intermediate_size, bias=False)
        self.down_proj = nn.Linear(intermediate_size, hidden_size, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Gate, multiply, project back."""
        down: Tensor = self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))
        return down
