"""Scores that a tanh keeps within a bound. Source: Gemma 2, Riviere et al. 2024, arXiv:2408.00118.

The library's attention kernels have no place for it; ``eager_attention`` has.
"""

import torch
from torch import Tensor


def soft_cap(x: Tensor, cap: float) -> Tensor:
    """``cap * tanh(x / cap)``: x where it is small, never beyond the cap."""
    return cap * torch.tanh(x / cap)
