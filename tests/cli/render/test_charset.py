import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from tissu_cli.render.braille import bars, line_chart
from tissu_cli.render.charset import _asks_for_ascii, ascii_of, use_stand_ins

DRAWN = "─│╭╮╰╯━╸·…▁▂▃▄▅▆▇█░▒▓⏎‹›×"  # noqa: RUF001  what the renderers draw with


def written(text: str, encoding: str, handler: str) -> str:
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    use_stand_ins(stream, handler)
    stream.write(text)
    stream.flush()
    return stream.buffer.getvalue().decode(encoding)  # type: ignore[attr-defined]


def test_every_drawing_has_one_ascii_character() -> None:
    for char in (*DRAWN, *map(chr, range(0x2800, 0x2900))):
        stand_in = ascii_of(char)
        assert stand_in is not None and len(stand_in) == 1 and stand_in.isascii(), char
    assert ascii_of("é") is None


def test_charts_and_bars_keep_their_shape() -> None:
    size = {"width": 12, "height": 3}
    ranges = {"x_range": (0.0, 9.0), "y_range": (0.0, 9.0)}
    xs = [float(x) for x in range(10)]
    rows = line_chart(xs, xs, **size, **ranges)  # type: ignore[arg-type]
    drawn = [written(row, "ascii", "tissu.celled") for row in rows]
    assert [len(row) for row in drawn] == [12, 12, 12]
    assert [row.strip() != "" for row in drawn] == [True] * 3
    assert drawn[0].lstrip()[-1] in "':|" and drawn[0].startswith("    ")
    assert written(bars([1, 4, 8], 3), "ascii", "tissu.celled") == ".=@"


def test_what_an_encoding_has_is_written_as_it_is() -> None:
    assert written("a · b …", "latin-1", "tissu.spelled") == "a · b ~"
    assert written("┌─ é █", "cp437", "tissu.spelled") == "┌─ é █"
    assert written(DRAWN + "é織", "utf-8", "tissu.spelled") == DRAWN + "é織"


def test_letters_of_lines_are_spelled_so_that_nothing_is_lost() -> None:
    assert written("café 織 🧵", "ascii", "tissu.spelled") == "caf\\xe9 \\u7e54 \\U0001f9f5"


@given(st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "S", "Zs")), max_size=30))
def test_in_a_panel_every_character_takes_its_cells(text: str) -> None:
    shown = written(text, "ascii", "tissu.celled")
    assert shown.isascii()
    if all(ord(char) < 0x1100 for char in text):  # beyond, tables of widths differ by version
        assert len(shown) == cell_len(text)
    assert written("織x", "ascii", "tissu.celled") == "??x"


@pytest.mark.parametrize(
    ("environment", "is_ascii"),
    [
        ({}, False),
        ({"LANG": "C"}, True),
        ({"LANG": "C", "LC_CTYPE": "C.UTF-8"}, True),  # as Python leaves it
        ({"LANG": "de_DE.UTF-8", "LC_ALL": "POSIX"}, True),
        ({"LANG": "C", "LC_ALL": "de_DE.UTF-8"}, False),
        ({"LANG": "C.UTF-8", "LC_CTYPE": "C.UTF-8"}, False),
        ({"LC_CTYPE": "C.UTF-8"}, False),
        ({"LC_ALL": "C", "PYTHONIOENCODING": "utf-8"}, False),
    ],
)
def test_the_c_locale_asks_for_ascii_only_if_somebody_set_it(
    environment: dict[str, str], is_ascii: bool
) -> None:
    assert _asks_for_ascii(environment) is is_ascii
