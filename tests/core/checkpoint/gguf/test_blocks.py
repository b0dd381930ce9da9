import gguf
import numpy as np
import pytest
import torch
from gguf import GGMLQuantizationType

from tissu_core.checkpoint.gguf.blocks import (
    BLOCK_TYPES,
    OTHER_TYPES,
    BlockType,
    dequantize,
    packed_runs,
)
from tissu_core.layers.packed import PackedEmbedding


@pytest.mark.parametrize("number", BLOCK_TYPES)
def test_values_are_those_of_the_reference_to_the_bit(number: int) -> None:
    """Any bytes are some block: scales and minima of all signs, sizes, and none at all."""
    kind = BLOCK_TYPES[number]
    row_bytes = 3 * kind.num_bytes
    packed = np.random.default_rng(number).integers(0, 256, (700, row_bytes), dtype=np.uint8)
    ours = dequantize(kind, packed)
    with np.errstate(all="ignore"):
        theirs = gguf.dequantize(packed, GGMLQuantizationType(number)).astype(np.float32)
    assert ours.shape == (700, 3 * kind.num_values)
    assert np.array_equal(ours.view(np.uint32), theirs.view(np.uint32))


def test_types_are_those_of_the_reference() -> None:
    for number, kind in BLOCK_TYPES.items():
        known = GGMLQuantizationType(number)
        assert kind.name == known.name
        assert (kind.num_values, kind.num_bytes) == gguf.GGML_QUANT_SIZES[known]
    for number, name in OTHER_TYPES.items():
        assert GGMLQuantizationType(number).name == name


def test_rows_longer_than_what_is_worked_on_at_once() -> None:
    kind = BLOCK_TYPES[8]
    values = np.random.default_rng(0).normal(size=(2, 1 << 17)).astype(np.float32)
    packed = gguf.quantize(values, GGMLQuantizationType.Q8_0)
    assert np.abs(dequantize(kind, packed) - values).max() < 0.03


PACKED = [kind for kind in BLOCK_TYPES.values() if kind.runs is not None]


@pytest.mark.parametrize("kind", PACKED, ids=lambda kind: kind.name)
def test_packed_rows_stand_for_the_same_values_in_memory(kind: BlockType) -> None:
    packed = np.random.default_rng(3).integers(0, 256, (40, 2 * kind.num_bytes), dtype=np.uint8)
    for offset in range(0, packed.shape[1], kind.num_bytes):  # scales of a usual size
        packed[:, offset : offset + kind.num_bytes] &= np.uint8(0xBF)
    expected = dequantize(kind, packed)
    numbers, scale, low = packed_runs(kind, packed)
    layer = PackedEmbedding(40, expected.shape[1], kind.bits, kind.run)
    layer.weight, layer.weight_scale, layer.weight_min = map(
        torch.from_numpy, (numbers, scale, low)
    )
    is_finite = np.isfinite(expected)
    assert is_finite.mean() > 0.9
    found = layer.dequantize().numpy()
    size = np.abs(expected[is_finite]).max()
    np.testing.assert_allclose(found[is_finite], expected[is_finite], rtol=1e-5, atol=1e-6 * size)
