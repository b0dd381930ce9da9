"""Packed blocks are those of ggml's own library, or as close to the values as theirs."""

import gguf
import numpy as np
import pytest
from gguf import GGMLQuantizationType
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from tissu_core.checkpoint.gguf.blocks import dequantize
from tissu_core.checkpoint.gguf.packing import PACKERS, pack
from tissu_core.checkpoint.gguf.writer import kind_of

Floats = NDArray[np.float32]
VALUES = arrays(
    np.float32,
    (2, 256),
    elements=st.floats(-1e3, 1e3, width=16),
)


def normal(rows: int = 64, seed: int = 0) -> Floats:
    random = np.random.default_rng(seed)
    spread = np.exp(random.normal(size=(rows, 1)))
    return (random.normal(size=(rows, 512)) * spread).astype(np.float32)


def there_and_back(name: str, values: Floats) -> Floats:
    kind = kind_of(name)
    return dequantize(kind, pack(kind, values))


@pytest.mark.parametrize("name", ["F32", "F16", "Q8_0", "Q4_0", "Q5_0"])
@given(values=VALUES)
def test_bytes_are_those_of_ggmls_library(name: str, values: Floats) -> None:
    theirs = gguf.quantize(values, GGMLQuantizationType[name])
    assert pack(kind_of(name), values).tobytes() == theirs.tobytes()


@given(values=VALUES)
def test_a_k_block_is_read_by_both(values: Floats) -> None:
    packed = pack(kind_of("Q4_K"), values)
    theirs = gguf.dequantize(packed, GGMLQuantizationType.Q4_K)
    ours = dequantize(kind_of("Q4_K"), packed)
    np.testing.assert_array_equal(ours, theirs)
    # A step is a fifteenth of a run's reach; the six bits of a scale are of the block's largest.
    reach = np.ptp(np.append(values, 0 * values[:, :1], axis=1), axis=1, keepdims=True)
    assert (np.abs(ours - values) <= reach / 15 + 2e-3 * np.abs(values).max()).all()


def test_a_k_block_is_closer_than_blocks_of_one_scale() -> None:
    values = normal()
    errors = {
        name: float(np.square(there_and_back(name, values) - values).mean())
        for name in ("Q4_0", "Q4_K", "Q5_0", "Q8_0")
    }
    assert errors["Q8_0"] < errors["Q5_0"] < errors["Q4_K"] < 0.8 * errors["Q4_0"]


def test_the_fitted_line_is_better_than_the_ends_of_a_run() -> None:
    """Weighted as it is fitted; what rounding between minimum and maximum loses is the measure."""
    runs = normal().reshape(-1, 32)
    low = np.minimum(runs.min(1, keepdims=True), 0)
    step = (runs.max(1, keepdims=True) - low) / 15
    plain = np.rint((runs - low) / step) * step + low
    fitted = there_and_back("Q4_K", runs.reshape(-1, 256)).reshape(-1, 32)
    weights = np.sqrt(np.square(runs).mean(1, keepdims=True)) + np.abs(runs)
    lost = [float((weights * np.square(each - runs)).sum()) for each in (fitted, plain)]
    assert lost[0] < 0.95 * lost[1]


@pytest.mark.parametrize("name", PACKERS)
@pytest.mark.parametrize("value", [0.0, 1.0, -1.0, 1e-30, 6e4])
def test_runs_of_one_value(name: str, value: float) -> None:
    values = np.full((1, 256), value, np.float32)
    found = there_and_back(name, values)
    assert np.isfinite(found).all()
    if abs(value) >= 1:
        np.testing.assert_allclose(found, values, rtol=0.01)
    else:
        assert np.abs(found).max() <= 1e-6
