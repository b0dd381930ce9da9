"""How GGUF packs numbers into blocks, and their way back to fp32.

A block holds a scale, in some types a minimum, and small whole numbers; layouts and arithmetic are
those of ggml's reference, so that values are equal to the bit.
Source: github.com/ggml-org/ggml, ``ggml-common.h`` (layouts) and ``ggml-quants.c``.
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import accumulate, pairwise

import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]
Floats = NDArray[np.float32]
_PART = 1 << 16
"""Values worked on at once, which stay in a core's cache."""
_IQ4_LEVELS = (-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113)


@dataclass(frozen=True, slots=True)
class Runs:
    """What packed blocks say of their values: each is ``(number - zero) * scale + low``.

    Shapes: numbers (blocks, values); scale and low (blocks, runs), each for as many values.
    """

    scale: Floats
    numbers: Callable[[], Bytes]
    """Made when they are asked for: some are wanted as they stand in the blocks."""
    zero: int = 0
    low: Floats | None = None

    def values(self) -> Floats:
        """In fp32: (blocks, values)."""
        numbers: NDArray[np.integer] = self.numbers()
        if self.zero:
            numbers = (numbers - np.uint8(self.zero)).view(np.int8)
        found = numbers.reshape(*self.scale.shape, -1).astype(np.float32)
        found *= self.scale[..., None]
        if self.low is not None:
            found += self.low[..., None]
        return found.reshape(numbers.shape)


@dataclass(frozen=True, slots=True)
class BlockType:
    """One of GGUF's types of tensors."""

    name: str
    num_values: int
    """In a block, which lies within a row."""
    num_bytes: int
    plain: Callable[[Bytes], Floats] | None = None
    """The value of each block, where it is a number."""
    runs: Callable[[Bytes], Runs] | None = None
    """What a block holds, where it is packed."""
    bits: int = 0
    """That hold each number of its runs: 4 or 8."""
    run: int = 32
    """Values that share a scale."""
    is_halved: bool = False
    """Whether a block ends with its numbers as ``packed_runs`` gives them."""
    is_even: bool = True
    """Whether all its levels are a scale apart."""

    def size(self, shape: Iterable[int]) -> int:
        """The bytes of a tensor of that shape."""
        return math.prod(shape) // self.num_values * self.num_bytes

    def unpack(self, blocks: Bytes) -> Floats:
        """(blocks, num_bytes) to fp32 that can be reshaped to (blocks, num_values)."""
        if self.plain is not None:
            return self.plain(blocks)
        assert self.runs is not None
        return self.runs(blocks).values()


def dequantize(kind: BlockType, packed: Bytes) -> Floats:
    """The values of packed rows.

    Shapes: packed (rows, bytes of a row), returns (rows, values of a row).
    """
    blocks = packed.reshape(-1, kind.num_bytes)
    values = np.empty((len(blocks), kind.num_values), np.float32)
    step = max(1, _PART // kind.num_values)
    with np.errstate(all="ignore"):  # a damaged scale is no number, and neither are its values
        for begin in range(0, len(blocks), step):
            part = slice(begin, begin + step)
            values[part] = kind.unpack(blocks[part]).reshape(-1, kind.num_values)
    return values.reshape(len(packed), -1)


def packed_runs(kind: BlockType, packed: Bytes) -> tuple[Bytes, Floats, Floats]:
    """The numbers of packed rows, and of each run the scale and what it adds, its minimum.

    Numbers of 4 bits stand two in a byte: 16 in the low halves of a run of 32, 16 in the high ones.
    Shapes: packed (rows, bytes of a row); returns (rows, values x bits / 8) and twice (rows, runs).
    """
    assert kind.runs is not None
    rows, blocks = len(packed), packed.reshape(-1, kind.num_bytes)
    width = kind.num_values * kind.bits // 8
    numbers = np.empty((len(blocks), width), np.uint8)
    scale, low = (np.empty((len(blocks), kind.num_values // kind.run), np.float32) for _ in "12")
    step = max(1, _PART // kind.num_values)
    if kind.is_halved:
        numbers, step = np.ascontiguousarray(blocks[:, -width:]), max(1, len(blocks))
    with np.errstate(all="ignore"):
        for begin in range(0, len(blocks), step):
            part = slice(begin, begin + step)
            found = kind.runs(blocks[part])
            if not kind.is_halved:
                whole = found.numbers()
                numbers[part] = pack_halves(whole) if kind.bits == 4 else whole
            scale[part] = found.scale
            low[part] = -found.zero * found.scale if found.low is None else found.low
    return numbers.reshape(rows, -1), scale.reshape(rows, -1), low.reshape(rows, -1)


def pack_halves(numbers: Bytes) -> Bytes:
    """Numbers of 4 bits two in a byte: (blocks, values) to (blocks, values / 2)."""
    halves = numbers.reshape(len(numbers), -1, 2, 16)
    return (halves[:, :, 0] | (halves[:, :, 1] << np.uint8(4))).reshape(len(numbers), -1)


def _split(blocks: Bytes, *sizes: int) -> list[Bytes]:
    """The fields of each block by their sizes in bytes; what is left is the last."""
    ends = [*accumulate(sizes, initial=0), blocks.shape[1]]
    return [blocks[:, begin:end] for begin, end in pairwise(ends)]


def _half(field: Bytes) -> Floats:
    """fp16 numbers as fp32."""
    return np.ascontiguousarray(field).view("<f2").astype(np.float32)


def _bits(field: Bytes, width: int, group: int) -> Bytes:
    """Whole numbers of ``width`` bits: the lowest of ``group`` bytes, then their next, and on."""
    shifts = np.arange(0, 8, width, dtype=np.uint8)[:, None]
    planes = field.reshape(len(field), -1, 1, group) >> shifts
    planes &= np.uint8((1 << width) - 1)
    return planes.reshape(len(field), -1)


def _fifth(low: Bytes, high: Bytes) -> Bytes:
    return low | (high << np.uint8(4))


def _f32(blocks: Bytes) -> Floats:
    return blocks.view("<f4")


def _bf16(blocks: Bytes) -> Floats:
    return (blocks.view("<u2").astype(np.uint32) << np.uint32(16)).view(np.float32)


def _q4_0(blocks: Bytes) -> Runs:
    scale, numbers = _split(blocks, 2)
    return Runs(_half(scale), lambda: _bits(numbers, 4, 16), 8)


def _q4_1(blocks: Bytes) -> Runs:
    scale, low, numbers = _split(blocks, 2, 2)
    return Runs(_half(scale), lambda: _bits(numbers, 4, 16), low=_half(low))


def _q5_0(blocks: Bytes) -> Runs:
    scale, high, numbers = _split(blocks, 2, 4)
    return Runs(_half(scale), lambda: _fifth(_bits(numbers, 4, 16), _bits(high, 1, 1)), 16)


def _q5_1(blocks: Bytes) -> Runs:
    scale, low, high, numbers = _split(blocks, 2, 2, 4)
    return Runs(
        _half(scale), lambda: _fifth(_bits(numbers, 4, 16), _bits(high, 1, 1)), low=_half(low)
    )


def _q8_0(blocks: Bytes) -> Runs:
    scale, numbers = _split(blocks, 2)
    return Runs(_half(scale), lambda: numbers ^ np.uint8(128), 128)


def _q2_k(blocks: Bytes) -> Runs:
    pairs, numbers, scale, low = _split(blocks, 16, 64, 2)
    scales = _half(scale) * (pairs & 15).astype(np.float32)
    lows = _half(low) * -(pairs >> 4).astype(np.float32)
    return Runs(scales, lambda: _bits(numbers, 2, 32), low=lows)


def _q3_k(blocks: Bytes) -> Runs:
    high, numbers, low_scales, high_scales, scale = _split(blocks, 32, 64, 8, 4)
    scales = _fifth(_bits(low_scales, 4, 8), _bits(high_scales, 2, 4)).astype(np.float32) - 32
    return Runs(
        _half(scale) * scales,
        lambda: _bits(numbers, 2, 32) | (_bits(high, 1, 32) << np.uint8(2)),
        4,
    )


def _k_scales(blocks: Bytes) -> tuple[Floats, Floats, Bytes]:
    """Scales and minima of the eight runs of a Q4_K or Q5_K block, (blocks, 8), and its rest.

    The six bits of each stand in twelve bytes: four of the first eight runs' low six bits, then
    the last four runs' low four, whose upper two are the top bits of the bytes before.
    """
    scale, low, scales, lows, last, rest = _split(blocks, 2, 2, 4, 4, 4)
    scales = np.hstack([scales & 63, (last & 15) | ((scales >> 2) & 48)])
    lows = np.hstack([lows & 63, (last >> 4) | ((lows >> 2) & 48)])
    return _half(scale) * scales.astype(np.float32), _half(low) * -lows.astype(np.float32), rest


def _q4_k(blocks: Bytes) -> Runs:
    scales, lows, numbers = _k_scales(blocks)
    return Runs(scales, lambda: _bits(numbers, 4, 32), low=lows)


def _q5_k(blocks: Bytes) -> Runs:
    scales, lows, rest = _k_scales(blocks)
    high, numbers = _split(rest, 32)
    return Runs(scales, lambda: _fifth(_bits(numbers, 4, 32), _bits(high, 1, 32)), low=lows)


def _q6_k(blocks: Bytes) -> Runs:
    numbers, high, scales, scale = _split(blocks, 128, 64, 16)
    return Runs(
        _half(scale) * scales.view(np.int8).astype(np.float32),
        lambda: _fifth(_bits(numbers, 4, 64), _bits(high, 2, 32)),
        32,
    )


def _iq4_nl(blocks: Bytes) -> Runs:
    scale, numbers = _split(blocks, 2)
    levels = (np.array(_IQ4_LEVELS, np.int16) + 128).astype(np.uint8)
    return Runs(_half(scale), lambda: levels[_bits(numbers, 4, 16)], 128)


BLOCK_TYPES: dict[int, BlockType] = {
    0: BlockType("F32", 1, 4, _f32),
    1: BlockType("F16", 1, 2, _half),
    2: BlockType("Q4_0", 32, 18, runs=_q4_0, bits=4, is_halved=True),
    3: BlockType("Q4_1", 32, 20, runs=_q4_1, bits=4, is_halved=True),
    6: BlockType("Q5_0", 32, 22, runs=_q5_0, bits=8),
    7: BlockType("Q5_1", 32, 24, runs=_q5_1, bits=8),
    8: BlockType("Q8_0", 32, 34, runs=_q8_0, bits=8),
    10: BlockType("Q2_K", 256, 84, runs=_q2_k, bits=4, run=16),
    11: BlockType("Q3_K", 256, 110, runs=_q3_k, bits=4, run=16),
    12: BlockType("Q4_K", 256, 144, runs=_q4_k, bits=4),
    13: BlockType("Q5_K", 256, 176, runs=_q5_k, bits=8),
    14: BlockType("Q6_K", 256, 210, runs=_q6_k, bits=8, run=16),
    20: BlockType("IQ4_NL", 32, 18, runs=_iq4_nl, bits=8, is_even=False),
    30: BlockType("BF16", 1, 2, _bf16),
}
"""What this version reads, by GGUF's number of the type."""

OTHER_TYPES = {
    9: "Q8_1",
    15: "Q8_K",
    16: "IQ2_XXS",
    17: "IQ2_XS",
    18: "IQ3_XXS",
    19: "IQ1_S",
    21: "IQ3_S",
    22: "IQ2_S",
    23: "IQ4_XS",
    24: "I8",
    25: "I16",
    26: "I32",
    27: "I64",
    28: "F64",
    29: "IQ1_M",
    34: "TQ1_0",
    35: "TQ2_0",
    39: "MXFP4",
}
"""What it names when it refuses."""
