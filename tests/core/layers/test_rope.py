import math

import pytest
import torch

from tests.samples import CPU
from tissu_core.layers.rope import apply_rope, rope_tables


def test_tables_are_angles_of_position_and_frequency() -> None:
    cos, sin = rope_tables(5, 8, 10_000.0, CPU)
    assert cos.shape == sin.shape == (5, 4)
    for position in range(5):
        for channel in range(4):
            angle = position * 10_000.0 ** (-2 * channel / 8)
            assert cos[position, channel].item() == pytest.approx(math.cos(angle), abs=1e-6)
            assert sin[position, channel].item() == pytest.approx(math.sin(angle), abs=1e-6)


def test_position_zero_is_left_alone_and_lengths_are_kept() -> None:
    x = torch.randn(2, 30, 3, 8)
    rotated = apply_rope(x, *rope_tables(30, 8, 10_000.0, CPU))
    torch.testing.assert_close(rotated[:, 0], x[:, 0])
    torch.testing.assert_close(rotated.norm(dim=-1), x.norm(dim=-1))
    assert not torch.allclose(rotated[:, 1:], x[:, 1:])


@pytest.mark.parametrize("shift", [1, 7, 100])
def test_a_product_depends_on_the_distance_alone(shift: int) -> None:
    cos, sin = rope_tables(140, 16, 10_000.0, CPU)
    query, key = torch.randn(16), torch.randn(16)

    def product(at_query: int, at_key: int) -> float:
        at = [at_query, at_key]
        rotated = apply_rope(torch.stack([query, key])[None, :, None], cos[at], sin[at])
        return float(rotated[0, 0, 0] @ rotated[0, 1, 0])

    assert product(20, 3) == pytest.approx(product(20 + shift, 3 + shift), abs=1e-4)
    assert abs(product(20, 3) - product(20, 4)) > 1e-2


def test_gradient_is_exact() -> None:
    x = torch.randn(1, 4, 2, 6, dtype=torch.float64, requires_grad=True)
    cos, sin = (table.double() for table in rope_tables(4, 6, 100.0, CPU))
    assert torch.autograd.gradcheck(lambda x: apply_rope(x, cos, sin), [x])


def test_numbers_keep_their_format() -> None:
    tables = rope_tables(4, 6, 100.0, CPU)
    assert apply_rope(torch.randn(1, 4, 2, 6).bfloat16(), *tables).dtype == torch.bfloat16
