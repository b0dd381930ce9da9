"""What colour tells, signs tell too; and a bar is as long as its value."""

import io

import pytest
from rich.console import Console

from tests.cli.render.inspect.explained import explained
from tissu_cli.render.diverging import bar_of, diverging, level_of, marks
from tissu_cli.render.inspect.explain import explained_view


def drawn(values: list[float], width: int = 60, *, is_coloured: bool = False) -> list[str]:
    console = Console(width=width, file=io.StringIO(), color_system=None)
    console.print(explained_view(explained(values), is_coloured=is_coloured))
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert max(len(line.rstrip()) for line in text.splitlines()) <= width
    return text.splitlines()


def test_signs_and_colours_are_of_the_same_steps() -> None:
    assert [marks(share) for share in (-1, -0.6, 0, 0.1, 0.3, 1, 9)] == [
        "----", "--", "", "", "+", "++++", "++++",
    ]  # fmt: skip
    styles = {level: {diverging(share / 50) for share in range(-50, 51) if level_of(share / 50) == level} for level in range(-4, 5)}  # fmt: skip  # noqa: E501
    assert all(len(found) == 1 for found in styles.values())
    assert len(set().union(*styles.values())) == 9 and styles[0] == {""}
    assert [bar_of(share) for share in (0, 0.01, 0.5, 1)] == [" ", "▁", "▅", "█"]


@pytest.mark.parametrize("width", [60, 80, 160])
def test_bars_are_as_long_as_values(width: int) -> None:
    rows = [line for line in drawn([4.0, -2.0, 1.0, 0.0], width) if "│" in line][1:]
    lengths = [line.count("━") + 0.5 * (line.count("╸") + line.count("╺")) for line in rows]
    assert lengths[0] > 10
    assert lengths[1] == pytest.approx(lengths[0] / 2, abs=1)
    assert lengths[2] == pytest.approx(lengths[0] / 4, abs=1)
    assert lengths[3] == 0
    axis = {line.index("│") for line in rows}
    assert len(axis) == 1
    assert rows[1].index("━") < axis.pop() < rows[0].index("━")


def test_all_on_one_side_have_all_the_room() -> None:
    (row,) = [line for line in drawn([3.0, 1.0]) if "w0" in line and "│" in line]
    assert row.rstrip().endswith("━") and row.index("│") < row.index("━")
    assert not any("against" in line for line in drawn([3.0, 1.0]))
    assert any("against" in line for line in drawn([-3.0, -1.0]))


def test_what_is_not_drawn_is_summed_up() -> None:
    lines = drawn([1.0] * 40)
    assert sum("│" in line for line in lines) == 1 + 24
    assert any("16 more" in line and "+16.000" in line for line in lines)


def test_a_prompt_of_zeros_and_one_with_controls_are_drawn() -> None:
    assert any("+0.000" in line for line in drawn([0.0]))
    lines = drawn([1.0, -1.0])
    assert any("w0[++++] w1[----]" in line for line in lines)
    assert not any("[++" in line for line in drawn([1.0, -1.0], is_coloured=True))
