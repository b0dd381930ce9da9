"""Rotary position embeddings."""

from typing import Any

import torch
from torch import Tensor


def rope_tables(
    positions: int, head_dim: int, theta: float, device: torch.device
) -> tuple[Tensor, Tensor]:
    """Cosine and sine of each position's angles.

    Shapes: returns two (positions, D/2) in fp32.
    Units: radians.
    Source: Su et al. 2021, arXiv:2104.09864, section 3.2.2.
    """
    channels = torch.arange(0, head_dim, 2, dtype=torch.float32, device=device)
    frequencies = theta ** -(channels / head_dim)
    angles = torch.outer(torch.arange(positions, device=device).float(), frequencies)
    return angles.cos(), angles.sin()


def apply_rope(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotate each pair of channels by its position's angle.

    Shapes: x (B, T, H, D); cos, sin (T, D/2) or (B, T, D/2); returns (B, T, H, D) in x's dtype.
    Convention: halves [x1 | x2], as Llama and Hugging Face, not interleaved.
    """
    return _Rotation.apply(x, cos.unsqueeze(-2), sin.unsqueeze(-2))  # type: ignore[no-any-return, no-untyped-call]


class _Rotation(torch.autograd.Function):
    """The rotation, whose backward is the rotation by the negative angle: nothing is saved.

    Written out as autograd would, a rotation keeps four products of the size of x.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        ctx.save_for_backward(cos, sin)
        return _rotate(x, cos, sin)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        cos, sin = ctx.saved_tensors
        return _rotate(gradients[0], cos, -sin), None, None


def _rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    cos, sin = cos.to(x.dtype), sin.to(x.dtype)
    first, second = x.chunk(2, dim=-1)
    if torch.compiler.is_compiling():  # the compiler fuses this better than writes into halves
        return torch.cat([first * cos - second * sin, second * cos + first * sin], dim=-1)
    out = torch.empty_like(x)
    half = first.shape[-1]
    torch.mul(first, cos, out=out[..., :half]).addcmul_(second, sin, value=-1)
    torch.mul(second, cos, out=out[..., half:]).addcmul_(first, sin)
    return out
