"""A table of an activation: how far it is off, and what it does beyond its ends."""

import pytest
import torch
import torch.nn.functional as F

from tissu_core.layers.lookup import REACH, LookUp

INSIDE = torch.linspace(-REACH, REACH, 100_001)


def largest_error(size: int) -> float:
    return float((LookUp(F.gelu, size)(INSIDE) - F.gelu(INSIDE)).abs().max())


def test_it_is_within_1e_5_with_4096_points() -> None:
    assert largest_error(4096) < 1e-5


@pytest.mark.parametrize("size", [256, 512, 1024])
def test_twice_the_points_are_a_quarter_of_the_error(size: int) -> None:
    assert largest_error(size) / largest_error(2 * size) == pytest.approx(4, rel=0.1)


def test_beyond_the_table_it_is_0_and_x() -> None:
    x = torch.tensor([-1e9, -10.5, 10.5, 1e9, float("inf"), float("-inf")])
    assert torch.equal(LookUp(F.gelu)(x), x.clamp(min=0))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_shape_and_dtype_stay(dtype: torch.dtype) -> None:
    x = torch.randn(3, 5, dtype=dtype)
    found = LookUp(F.gelu)(x)
    assert (found.shape, found.dtype) == (x.shape, dtype)
    torch.testing.assert_close(found, F.gelu(x))


def test_nan_stays_nan() -> None:
    found = LookUp(F.gelu)(torch.tensor([float("nan"), 0.0]))
    assert found.isnan().tolist() == [True, False]
