"""Normalisation."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class RMSNorm(nn.Module):
    """x / rms(x) * weight over the last dimension. Source: Zhang and Sennrich, arXiv:1910.07467.

    The weight follows x's dtype, so activations keep the width they came with.
    """

    def __init__(self, size: int, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(size))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        """Normalise and scale."""
        return F.rms_norm(x, self.weight.shape, self.weight.to(x.dtype), self.eps)
