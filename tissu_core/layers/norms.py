"""Normalisation over the last dimension."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class RMSNorm(nn.Module):
    """x / rms(x) * weight. Source: Zhang and Sennrich 2019, arXiv:1910.07467.

    The weight follows x's dtype, so activations keep the width they came with.
    """

    def __init__(self, size: int, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(size))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        """Normalise and scale."""
        return F.rms_norm(x, self.weight.shape, self.weight.to(x.dtype), self.eps)


class LayerNorm(nn.Module):
    """(x - mean(x)) / std(x) * weight + bias. Source: Ba et al. 2016, arXiv:1607.06450.

    Weight and bias follow x's dtype, as in ``RMSNorm``.
    """

    def __init__(self, size: int, eps: float, *, bias: bool) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(size))
        self.bias = nn.Parameter(torch.zeros(size)) if bias else None
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        """Centre, normalise, scale and shift."""
        bias = self.bias if self.bias is None else self.bias.to(x.dtype)
        return F.layer_norm(x, self.weight.shape, self.weight.to(x.dtype), bias, self.eps)


def build_norm(kind: str, size: int, eps: float, *, bias: bool) -> RMSNorm | LayerNorm:
    """The norm for "rmsnorm", which has no bias, or "layernorm"."""
    return RMSNorm(size, eps) if kind == "rmsnorm" else LayerNorm(size, eps, bias=bias)
