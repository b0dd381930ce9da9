"""The way from fp32 into GGUF's blocks; ``blocks.py`` has the layouts, and the way back.

Rounding is that of ggml's reference: Q8_0, Q4_0 and Q5_0 are equal to it byte by byte.
Source: github.com/ggml-org/ggml, ``ggml-quants.c``.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from tissu_core.checkpoint.gguf.blocks import BLOCK_TYPES, BlockType, Bytes, Floats

_PART = 1 << 18
"""Values worked on at once."""
_STEPS = 21
_LEAST = 1e-37
_MOST_SIX = 63
"""The largest of six bits, which the scales of a K block have."""


def pack(kind: BlockType, values: Floats) -> Bytes:
    """Rows in blocks, (rows, values of a row) to (rows, bytes of a row).

    ``kind`` is one of ``PACKERS``, and its blocks divide a row.
    """
    blocks = np.ascontiguousarray(values, np.float32).reshape(-1, kind.num_values)
    packed = np.empty((len(blocks), kind.num_bytes), np.uint8)
    step = max(1, _PART // kind.num_values)
    for begin in range(0, len(blocks), step):
        part = slice(begin, begin + step)
        packed[part] = PACKERS[kind.name](blocks[part])
    return packed.reshape(len(values), -1)


def _f32(blocks: Floats) -> Bytes:
    return blocks.view(np.uint8)


def _f16(blocks: Floats) -> Bytes:
    return blocks.astype("<f2").view(np.uint8)


def _q8_0(blocks: Floats) -> Bytes:
    scale = np.abs(blocks).max(axis=1, keepdims=True) / np.float32(127)
    scaled = blocks * _inverse(scale)
    # Halves away from zero, as C rounds them.
    numbers = np.copysign(np.floor(np.abs(scaled) + np.float32(0.5)), scaled)
    return np.hstack([_f16(scale), numbers.astype(np.int8).view(np.uint8)])


def _q4_0(blocks: Floats) -> Bytes:
    scale, numbers = _around_zero(blocks, 8)
    return np.hstack([_f16(scale), _nibbles(numbers, 16)])


def _q5_0(blocks: Floats) -> Bytes:
    scale, numbers = _around_zero(blocks, 16)
    high = np.packbits(numbers >> np.uint8(4), axis=1, bitorder="little")
    return np.hstack([_f16(scale), high, _nibbles(numbers & np.uint8(15), 16)])


def _around_zero(blocks: Floats, zero: int) -> tuple[Floats, Bytes]:
    """A scale by which the value farthest from 0 is ``-zero``, and numbers counted from there."""
    farthest = np.abs(blocks).argmax(axis=1, keepdims=True)
    scale = np.take_along_axis(blocks, farthest, axis=1) / np.float32(-zero)
    numbers = np.trunc(blocks * _inverse(scale) + np.float32(zero + 0.5))
    return scale, numbers.clip(0, 2 * zero - 1).astype(np.uint8)


def _q4_k(blocks: Floats) -> Bytes:
    """Eight runs of 32, each a scale and a minimum of six bits, in units of two fp16."""
    runs = blocks.reshape(-1, 32)
    scales, lows = (found.reshape(-1, 8) for found in _fit_line(runs, 15))
    (scale, whole_scales), (low, whole_lows) = _in_six_bits(scales), _in_six_bits(lows)
    step = (scale * whole_scales)[..., None]
    least = (low * whole_lows)[..., None]
    numbers = np.rint((blocks.reshape(-1, 8, 32) + least) * _inverse(step)).clip(0, 15)
    numbers = numbers.astype(np.uint8).reshape(len(blocks), -1)
    first, last = slice(0, 4), slice(4, 8)
    fields = [
        whole_scales[:, first] | (whole_scales[:, last] >> 4 << 6),
        whole_lows[:, first] | (whole_lows[:, last] >> 4 << 6),
        (whole_scales[:, last] & 15) | (whole_lows[:, last] & 15) << 4,
    ]
    return np.hstack([_f16(scale), _f16(low), *fields, _nibbles(numbers, 32)])


def _in_six_bits(values: Floats) -> tuple[Floats, Bytes]:
    """A unit that fp16 can hold, (blocks, 1), and how many of it each value is."""
    unit = values.max(axis=1, keepdims=True) / np.float32(_MOST_SIX)
    whole = np.rint(values * _inverse(unit)).clip(0, _MOST_SIX).astype(np.uint8)
    return unit.astype(np.float16).astype(np.float32), whole


def _fit_line(runs: Floats, most: int) -> tuple[Floats, Floats]:
    """Scale and minimum, (runs,), that with whole numbers up to ``most`` come closest to a run.

    The numbers of a value follow from a scale, and the best scale and minimum for given numbers
    from weighted least squares: of some scales that are tried, the best pair stays. Large values
    weigh more. A minimum is subtracted, and never below 0.
    """
    size = np.sqrt(np.square(runs).mean(axis=1, keepdims=True))
    weights = size + np.abs(runs)
    low = np.minimum(runs.min(axis=1, keepdims=True), 0)
    reach = runs.max(axis=1, keepdims=True) - low
    is_flat = reach <= 0
    inverse = _inverse(reach)
    sum_w = weights.sum(axis=1, keepdims=True)
    sum_x = (weights * runs).sum(axis=1, keepdims=True)
    best_scale, best_low = reach / np.float32(most), low
    numbers = np.rint((runs - low) * (most * inverse)).clip(0, most)
    best = _distance(runs, weights, numbers, best_scale, best_low)
    for step in range(_STEPS):
        tried = np.float32(most - 1 + 0.1 * step) * inverse
        numbers = np.rint((runs - low) * tried).clip(0, most)
        weighted = weights * numbers
        sum_l = weighted.sum(axis=1, keepdims=True)
        sum_l2 = (weighted * numbers).sum(axis=1, keepdims=True)
        sum_xl = (weighted * runs).sum(axis=1, keepdims=True)
        spread = _inverse(sum_w * sum_l2 - sum_l * sum_l)
        scale = (sum_w * sum_xl - sum_x * sum_l) * spread
        least = (sum_l2 * sum_x - sum_l * sum_xl) * spread
        is_above = least > 0
        scale = np.where(is_above, sum_xl * _inverse(sum_l2), scale)
        least = np.where(is_above, 0, least)
        distance = _distance(runs, weights, numbers, scale, least)
        is_better = (distance < best) & (spread > 0)
        best_scale = np.where(is_better, scale, best_scale)
        best_low = np.where(is_better, least, best_low)
        best = np.where(is_better, distance, best)
    return np.where(is_flat, 0, best_scale)[:, 0], -best_low[:, 0]


def _distance(runs: Floats, weights: Floats, numbers: Floats, scale: Floats, low: Floats) -> Floats:
    error = numbers * scale + low - runs
    found: Floats = (weights * error * error).sum(axis=1, keepdims=True)
    return found


def _inverse(values: Floats) -> Floats:
    """1 / values; 0 of what fp16 takes for 0."""
    is_zero = np.abs(values) < _LEAST
    return np.where(is_zero, 0, 1 / np.where(is_zero, 1, values)).astype(np.float32)


def _nibbles(numbers: Bytes, group: int) -> Bytes:
    """Two numbers a byte: those of ``group`` in the low halves, the next in the high ones."""
    pairs = numbers.reshape(len(numbers), -1, 2, group)
    found: NDArray[np.uint8] = pairs[:, :, 0] | (pairs[:, :, 1] << np.uint8(4))
    return found.reshape(len(numbers), -1)


PACKERS: dict[str, Callable[[Floats], Bytes]] = {
    "F32": _f32,
    "F16": _f16,
    "Q8_0": _q8_0,
    "Q4_0": _q4_0,
    "Q5_0": _q5_0,
    "Q4_K": _q4_k,
}
"""By the names of ``BLOCK_TYPES``."""

NUMBERS = {kind.name: number for number, kind in BLOCK_TYPES.items()}
"""GGUF's number of each type."""
