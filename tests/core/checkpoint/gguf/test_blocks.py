import gguf
import numpy as np
import pytest
from gguf import GGMLQuantizationType

from tissu_core.checkpoint.gguf.blocks import BLOCK_TYPES, OTHER_TYPES, dequantize


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
