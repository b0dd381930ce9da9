import math

from tissu_cli.render.braille import bar_rows, bars, line_chart

FULL = {"x_range": (0.0, 1.0), "y_range": (0.0, 1.0)}


def dots(rows: list[str]) -> set[tuple[int, int]]:
    """(column, row) of every dot, from the top left."""
    bits = ((0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80))
    return {
        (2 * c + dx, 4 * r + dy)
        for r, row in enumerate(rows)
        for c, char in enumerate(row)
        for dx in (0, 1)
        for dy in range(4)
        if (ord(char) - 0x2800) & bits[dx][dy]
    }


def test_corners_are_where_they_belong() -> None:
    rows = line_chart([0, 1], [0, 1], width=3, height=2, is_joined=False, **FULL)
    assert dots(rows) == {(0, 7), (5, 0)}


def test_a_joined_line_has_a_dot_in_every_column_and_row() -> None:
    flat = dots(line_chart([0, 1], [0.2, 0.4], width=10, height=3, **FULL))
    assert {column for column, _ in flat} == set(range(20))
    steep = dots(line_chart([0, 0.01], [0, 1], width=10, height=3, **FULL))
    assert {row for _, row in steep} >= set(range(11))


def test_not_a_number_breaks_the_line_and_outliers_stay_inside() -> None:
    rows = line_chart([0, 0.5, 1], [0, math.nan, 9], width=4, height=1, **FULL)
    assert dots(rows) == {(0, 3), (7, 0)}
    assert [len(row) for row in rows] == [4]


def test_bars_share_columns_and_keep_the_peak() -> None:
    assert bars([0, 1, 2, 4], 4) == " ▂▄█"
    assert bars([1] * 50 + [9] + [1] * 49, 10).count("█") == 1
    assert len(bars(list(range(1, 101)), 10)) == 10
    assert bars([], 10) == ""


def test_bar_rows_stack() -> None:
    top, bottom = bar_rows([1, 2], 2)
    assert (top, bottom) == (" █", "██")
