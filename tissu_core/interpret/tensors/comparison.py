"""Two tensors held against each other, and what packing one of them cost."""

import math

import torch
from torch import Tensor

from tissu_core.events.tensors import RoundingMeasured, TensorCompared
from tissu_core.interpret.tensors.reading import PART, TensorReader, iter_finite
from tissu_core.interpret.tensors.statistics import place_of


def compare_tensors(name: str, before: Tensor, after: Tensor) -> TensorCompared:
    """What became of one tensor in another of the same shape."""
    changed = squares = later = product = largest = 0.0
    place = left_out = 0
    parts = (torch.split(tensor.flatten(), PART) for tensor in (before, after))
    for number, (old, new) in enumerate(zip(*parts, strict=True)):
        is_finite = old.isfinite() & new.isfinite()
        left_out += old.numel() - int(is_finite.sum())
        a, b = (torch.where(is_finite, part, 0).double() for part in (old, new))
        moved = b - a
        changed += float(moved.square().sum())
        squares += float(a.square().sum())
        later += float(b.square().sum())
        product += float((a * b).sum())
        if moved.numel():
            index = int(moved.abs().argmax())
            if abs(float(moved[index])) > abs(largest):
                largest, place = float(moved[index]), number * PART + index
    return TensorCompared(
        name=name,
        shape=tuple(before.shape),
        change=math.sqrt(changed / squares) if squares else (None if changed else 0.0),
        cosine=cosine_of(product, squares, later),
        largest=largest,
        place=place_of(place, before) if before.numel() else (),
        norm=math.sqrt(squares),
        new_norm=math.sqrt(later),
        left_out=left_out,
    )


def cosine_of(product: float, one: float, other: float) -> float:
    """Of the angle of two vectors, from their product and the squares of their norms."""
    if not one or not other:
        return 0.0 if one or other else 1.0
    return max(-1.0, min(1.0, product / math.sqrt(one) / math.sqrt(other)))


def measure_rounding(
    reader: TensorReader, name: str, tensor: Tensor, comparison: TensorCompared | None
) -> RoundingMeasured | None:
    """What packing a tensor cost; None of one that is not packed.

    An even error in a step is a twelfth of its square (Bennett 1948).
    """
    if not reader.is_packed(name):
        return None
    steps, measured = reader.steps(name), None
    if comparison is not None and comparison.change:
        measured = -20 * math.log10(comparison.change)
    power, noise = _mean_square(tensor), 0.0 if steps is None else _mean_square(steps) / 12
    expected = 10 * math.log10(power / noise) if noise > 0 and power > 0 else None
    return RoundingMeasured(expected_db=expected, measured_db=measured)


def _mean_square(tensor: Tensor) -> float:
    """Of the values that are numbers."""
    total, count = 0.0, 0
    for values in iter_finite(tensor):
        total += float(values.dot(values))
        count += values.numel()
    return total / max(1, count)
