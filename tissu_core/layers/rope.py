"""Rotary position embeddings."""

import math
from typing import Any

import torch
from torch import Tensor

from tissu_core.config.rope import RopeScaling


def rope_tables(
    positions: int,
    rotary_dim: int,
    theta: float,
    device: torch.device,
    scaling: RopeScaling | None = None,
    *,
    is_long: bool = False,
) -> tuple[Tensor, Tensor]:
    """Cosine and sine of each position's angles; ``is_long`` for texts that longrope calls so.

    Shapes: returns two (positions, R/2) in fp32.
    Units: radians.
    Source: Su et al. 2021, arXiv:2104.09864, section 3.2.2.
    """
    channels = torch.arange(0, rotary_dim, 2, dtype=torch.float32, device=device)
    frequencies = theta ** -(channels / rotary_dim)
    scale = 1.0
    if scaling is not None:
        frequencies = _stretched(frequencies, theta, scaling, is_long=is_long)
        scale = scaling.attention_scale
    angles = torch.outer(torch.arange(positions, device=device).float(), frequencies)
    return angles.cos() * scale, angles.sin() * scale


def _stretched(frequencies: Tensor, theta: float, scaling: RopeScaling, *, is_long: bool) -> Tensor:
    """Lower frequencies, in radians a position, whose angles are familiar in longer texts.

    Sources: linear, Chen et al. 2023, arXiv:2306.15595; llama3, Grattafiori et al. 2024,
    arXiv:2407.21783, as in the released code; yarn, Peng et al. 2023, arXiv:2309.00071, section
    3.2; longrope, Ding et al. 2024, arXiv:2402.13753.
    """
    original = scaling.original_max_position_embeddings or 0
    match scaling.rope_type:
        case "longrope":
            factors = scaling.long_factor if is_long else scaling.short_factor
            return frequencies / torch.tensor(factors, device=frequencies.device)
        case "llama3":  # by how often a channel turns within the original length
            turns = original * frequencies / (2 * math.pi)
            low, high = scaling.low_freq_factor, scaling.high_freq_factor
            kept = ((turns - low) / (high - low)).clamp(0, 1)
        case "yarn":
            kept = 1 - _yarn_ramp(len(frequencies), theta, scaling).to(frequencies.device)
        case _:
            kept = torch.zeros_like(frequencies)
    return kept * frequencies + (1 - kept) * frequencies / scaling.factor


def _yarn_ramp(count: int, theta: float, scaling: RopeScaling) -> Tensor:
    """0 for channels that turn ``beta_fast`` times and more, 1 from ``beta_slow`` down, (R/2)."""
    original = scaling.original_max_position_embeddings or 0

    def channel(turns: float) -> float:
        return count * math.log(original / (turns * 2 * math.pi)) / math.log(theta)

    first, last = channel(scaling.beta_fast), channel(scaling.beta_slow)
    if scaling.truncate:
        first, last = math.floor(first), math.ceil(last)
    first, last = max(first, 0), min(last, 2 * count - 1)
    return ((torch.arange(count) - first) / max(last - first, 0.001)).clamp(0, 1)


def apply_rope(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotate each pair of channels by its position's angle.

    Shapes: x (B, T, H, D); cos, sin (T, R/2) or (B, T, R/2); returns (B, T, H, D) in x's dtype.
    Channels from R on stay as they are.
    Convention: halves [x1 | x2], as Llama and Hugging Face, not interleaved.
    """
    rotary_dim = 2 * cos.shape[-1]
    if rotary_dim < x.shape[-1]:
        rotated = apply_rope(x[..., :rotary_dim], cos, sin)
        return torch.cat([rotated, x[..., rotary_dim:]], dim=-1)
    cos, sin = cos.unsqueeze(-2), sin.unsqueeze(-2)
    if not torch.is_grad_enabled():
        return _rotate(x, cos, sin)
    return _Rotation.apply(x, cos, sin)  # type: ignore[no-any-return, no-untyped-call]


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
    # The compiler fuses this better than writes into halves, which tracing cannot follow.
    if torch.compiler.is_compiling() or torch._C._is_tracing():
        return torch.cat([first * cos - second * sin, second * cos + first * sin], dim=-1)
    out = torch.empty_like(x)
    half = first.shape[-1]
    torch.mul(first, cos, out=out[..., :half]).addcmul_(second, sin, value=-1)
    torch.mul(second, cos, out=out[..., half:]).addcmul_(first, sin)
    return out
