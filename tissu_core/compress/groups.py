"""Weights rounded to a few levels between the least and the largest of each group."""

import torch
from torch import Tensor

SHRINKS = (1.0, 0.95, 0.9, 0.85, 0.8, 0.75, 0.7)
"""Ranges that are tried for a group, as shares of its whole one: a group's outliers may be cut for
the sake of the others."""


def choose_levels(
    weight: Tensor, bits: int, importance: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Scale and minimum of each group that leave the smallest sum of squared errors.

    ``importance`` weighs the error of each input. Both are rounded to fp16, as they are stored.

    Shapes: weight (rows, groups, group) fp32, importance (groups, group); returns two
    (rows, groups) fp16.
    """
    least, most = weight.amin(-1), weight.amax(-1)
    middle, half = (most + least) / 2, (most - least) / 2
    best: tuple[Tensor, Tensor, Tensor] | None = None
    for share in SHRINKS:
        low = (middle - half * share).half()
        scale = (2 * half * share / (2**bits - 1)).half()
        wrong = (restored(round_to(weight, scale, low, bits), scale, low) - weight).square_()
        error = wrong.sum(-1) if importance is None else (wrong * importance).sum(-1)
        if best is None:
            best = error, scale, low
            continue
        is_better = error < best[0]
        pairs = zip((error, scale, low), best, strict=True)
        best = tuple(torch.where(is_better, new, old) for new, old in pairs)  # type: ignore[assignment]
    assert best is not None
    return best[1], best[2]


def round_to(weight: Tensor, scale: Tensor, low: Tensor, bits: int) -> Tensor:
    """The nearest level of each weight: (rows, groups, group) uint8."""
    inverse = scale.float().clamp(min=torch.finfo(torch.float16).tiny).reciprocal()
    levels = ((weight - low.float()[..., None]) * inverse[..., None]).round_()
    return levels.clamp_(0, 2**bits - 1).to(torch.uint8)


def restored(numbers: Tensor, scale: Tensor, low: Tensor) -> Tensor:
    """Numbers as weights: (rows, groups, group) fp32."""
    return torch.addcmul(low.float()[..., None], numbers, scale.float()[..., None])
