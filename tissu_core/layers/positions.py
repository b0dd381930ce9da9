"""Positions that are not rotary: biases on the scores, and a table added to the embedding."""

import math

import torch
from torch import Tensor


def alibi_slopes(num_heads: int) -> Tensor:
    """How fast each head's scores fall with the distance: 2^(-8 i / H) for i = 1..H.

    Other counts than powers of two take every second slope of the next one first, as MPT does.

    Shapes: returns (H,) in fp32.
    Source: Press et al. 2021, arXiv:2108.12409, section 3.
    """
    count = 2 ** math.ceil(math.log2(num_heads))
    steps = torch.arange(1, count + 1, dtype=torch.float32, device="cpu")
    slopes = torch.exp2(-8.0 * steps / count)
    if count == num_heads:
        return slopes
    return torch.cat([slopes[1::2], slopes[::2]])[:num_heads]


def sinusoids(positions: int, size: int, device: torch.device) -> Tensor:
    """Sines in even and cosines in odd channels, of wavelengths from 2 pi to 10,000 x 2 pi.

    Shapes: returns (positions, size) in fp32.
    Source: Vaswani et al. 2017, arXiv:1706.03762, section 3.5.
    """
    channels = torch.arange(0, size, 2, dtype=torch.float32, device=device)
    angles = torch.outer(
        torch.arange(positions, device=device).float(), 10_000.0 ** -(channels / size)
    )
    pairs = torch.stack([angles.sin(), angles.cos()], dim=-1)
    return pairs.flatten(1)[:, :size]
