"""Shares as characters and colours: more is never less."""

import pytest
from rich.style import Style

from tissu_cli.render.heat import LEGEND, ground, heat, shade, shrink


def test_more_is_a_denser_character() -> None:
    drawn = [shade(step / 100) for step in range(101)]
    assert drawn == sorted(drawn, key=" ░▒▓█".index)
    assert {*drawn} == {*" ░▒▓█"}
    assert shade(0.0, "·") == "·"


@pytest.mark.parametrize("bound", [0.03, 0.12, 0.3, 0.6])
def test_the_legend_says_from_where(bound: float) -> None:
    assert f"{shade(bound)} {bound:.0%}" in LEGEND
    assert shade(bound) != shade(bound - 0.001)


def test_colours_are_of_the_scale_and_never_beside_it() -> None:
    colours = [heat(step / 200) for step in range(-20, 230)]
    assert all(Style.parse(colour).color for colour in colours)
    assert colours[0] == heat(0.0) == "#6e8cbe" and colours[-1] == heat(1.0) == "#e65f37"
    assert len({*colours}) > 150


def test_hardly_anything_has_no_ground() -> None:
    assert ground(0.01) == ""
    assert Style.parse(ground(0.9)).bgcolor is not None


@pytest.mark.parametrize(("rows", "size"), [(7, 24), (50, 24), (24, 24), (25, 24), (100, 7)])
def test_a_triangle_is_shrunk_to_the_largest_of_its_blocks(rows: int, size: int) -> None:
    triangle = [[0.0] * (row + 1) for row in range(rows)]
    triangle[-1][0], triangle[rows // 2][rows // 2] = 0.7, 0.4
    small = shrink(triangle, size)
    assert len(small) <= size
    assert [len(row) for row in small] == [*range(1, len(small) + 1)]
    assert small[-1][0] == 0.7
    assert sorted(share for row in small for share in row)[-2:] == [0.4, 0.7]
