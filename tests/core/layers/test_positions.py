import math

import pytest

from tests.samples import CPU
from tissu_core.layers.positions import alibi_slopes, sinusoids


def test_slopes_are_those_of_the_paper() -> None:
    assert alibi_slopes(8).tolist() == [2.0**-i for i in range(1, 9)]
    assert alibi_slopes(16)[0].item() == pytest.approx(2**-0.5)


def test_slopes_of_other_counts_are_every_second_of_the_next_power_first() -> None:
    # 2^(-8 i / 4) for i = 1..4 is 1/4, 1/16, 1/64, 1/256.
    assert alibi_slopes(3).tolist() == [1 / 16, 1 / 256, 1 / 4]


@pytest.mark.parametrize("size", [8, 7])
def test_sinusoids_are_those_of_the_paper(size: int) -> None:
    table = sinusoids(50, size, CPU)
    assert table.shape == (50, size)
    for position in (0, 1, 49):
        for channel in range(size):
            angle = position / 10_000 ** (channel // 2 * 2 / size)
            expected = math.cos(angle) if channel % 2 else math.sin(angle)
            assert table[position, channel].item() == pytest.approx(expected, abs=1e-5)
