"""What a reply looks like: nothing of it is lost, nothing of it is obeyed."""

import re
import unicodedata
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from tests.cli.render.markdown.test_splitter import markdown
from tissu_cli.render.markdown.document import Document
from tissu_cli.render.markdown.inline import styled
from tissu_cli.render.markdown.layout import Layout
from tissu_cli.render.markdown.lines import wrap

WIDTHS = [20, 40, 80, 200]
HOSTILE = "\x1b]52;c;cm0=\x07 [/INST] [bold] [@click=app.bell] \u202e\x9b2J \r&#x202e; <script>"


def document(*pieces: str) -> Document:
    made = Document()
    for piece in pieces:
        made.feed(piece)
    made.finish()
    return made


def rows(text: str, width: int = 80) -> list[str]:
    layout = laid_out(document(text), width)
    return ["".join(part for part, _ in (*row.margin, *row.spans)) for row in layout.rows]


def laid_out(page: Document, width: int) -> Layout:
    layout = Layout(width)
    layout.update(page)
    return layout


def styles(text: str) -> dict[str, str]:
    """The style of each piece of text."""
    return {
        part: str(style) for row in laid_out(document(text), 80).rows for part, style in row.spans
    }


@pytest.mark.parametrize("width", WIDTHS)
@given(text=markdown)
def test_streaming_ends_with_the_rows_of_the_whole(width: int, text: str) -> None:
    streamed, page = Layout(width), Document()
    for start in range(0, len(text), 3):
        before = list(streamed.rows)
        page.feed(text[start : start + 3])
        first = streamed.update(page)
        assert streamed.rows[:first] == before[:first]
    page.finish()
    streamed.update(page)
    assert streamed.rows == laid_out(document(text), width).rows


@pytest.mark.parametrize("text", ["some *words* " * 500, "漢字" * 3000, "```\n" + "code " * 1000])
def test_a_line_that_is_finished_in_pieces_has_the_rows_of_one(text: str) -> None:
    streamed, page = Layout(33), Document()
    for start in range(0, len(text), 150):
        page.feed(text[start : start + 150])
        streamed.update(page)
    page.finish()
    streamed.update(page)
    whole = "".join(part for row in streamed.rows for part, _ in row.spans)
    assert streamed.rows == laid_out(document(text), 33).rows
    assert len(streamed.rows) <= -(-cell_len(whole) // 30) + 1
    shown = text.removeprefix("```\n").replace("*", "")
    assert streamed.text((0, 0), (len(streamed.rows), 0)).rstrip() == shown.rstrip()


@pytest.mark.parametrize("width", [1, 5, *WIDTHS])
@given(text=markdown)
def test_rows_fit_and_hold_no_control_characters(width: int, text: str) -> None:
    for row in rows(text + HOSTILE, width):
        assert not re.search("[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", row)
        if width >= 20:
            assert cell_len(row) <= width or len(row) == 1


@given(st.text(st.sampled_from("ab ,.é漢字😀👩\u200d👧\u0301\x1b")))
def test_text_without_marks_is_drawn_to_the_last_character(text: str) -> None:
    text = " ".join(text.split())
    for width in (1, 2, 7, 80):
        drawn = laid_out(document(text), width)
        expected = text.replace("\x1b", "\u241b")
        assert drawn.text((0, 0), (len(drawn.rows), 0)) == expected


def test_markup_of_others_is_text() -> None:
    text = "[/INST] <b>x</b> [bold]y[/] [@click=z] &amp; \\* {{ }} <|im_end|>"
    assert rows(text) == ["[/INST] <b>x</b> [bold]y[/] [@click=z] & * {{ }} <|im_end|>"]


def test_emphasis_code_and_links_have_styles() -> None:
    assert styles("a **b** *c* ***d*** ~~e~~ `f` [g](http://h.i) <http://j.k> ![l](m.png)") == {
        "a ": "", "b": "strong", " ": "", "c": "emphasis", "d": "emphasis strong", "e": "strike",
        "f": "code", "g": "link", " (http://h.i)": "url", "http://j.k": "link", "l": "",
        " (m.png)": "url",
    }  # fmt: skip
    assert styles("> # t\n> x **y**") == {"t": "heading-1", "x ": "quote", "y": "quote strong"}


def test_an_open_paragraph_is_drawn_with_its_emphasis() -> None:
    page = Document()
    page.feed("so **very bo")
    layout = laid_out(page, 80)
    assert layout.rows[0].spans == (("so ", ""), ("very bo", "strong"))


def test_lists_keep_their_numbers_and_hang() -> None:
    assert rows("3. three words here\n4. four\n   - five six seven\n\n     more", 14) == [
        "3. three words",
        "   here",
        "4. four",
        "   • five six",
        "     seven",
        "     ",
        "     more",
    ]


def test_tables_are_aligned_in_cells() -> None:
    text = "| name | n | mid |\n|---|--:|:-:|\n| 漢字 | 1 | **x** |\n| b \\| c | 200 |\n"
    assert rows(text) == [
        "name     n  mid",
        "-----  ---  ---",
        "漢字     1   x",
        "b | c  200",
    ]


def test_a_wide_table_wraps_its_cells_and_at_last_lists_them() -> None:
    text = "| key | value |\n|---|---|\n| one | a long value of many words |\n| two | short |"
    assert rows(text, 20) == [
        "key  value",
        "---  ---------------",
        "one  a long value of",
        "     many words",
        "two  short",
    ]
    wide = "|a|b|c|d|\n|---|---|---|---|\n|first cell|second cell|third cell|fourth cell|"
    assert rows(wide, 20) == [
        "a: first cell", "b: second cell", "c: third cell", "d: fourth cell",
    ]  # fmt: skip


def test_code_is_coloured_once_its_fence_is_closed() -> None:
    page = Document()
    page.feed("```py\nx = 'é'  # 1\n")
    line = laid_out(page, 80).rows[0].line
    assert line.code is not None
    assert not line.code.colour()
    assert line.spans == (("x = 'é'  # 1", "block"),)
    page.feed("```\n")
    assert not line.code.colour()
    assert ("# 1", "block comment") in line.spans
    assert line.text == "x = 'é'  # 1"


@pytest.mark.parametrize("language", ["", "no-such-language", "\x1b[31m", "text"])
def test_code_of_unknown_languages_is_plain(language: str) -> None:
    page = document(f"```{language}\n\tif x:\x1b[0m\n\n  [bold]\n")
    assert rows(f"```{language}\n\tif x:\x1b[0m\n\n  [bold]\n") == [
        "    if x:\u241b[0m", "", "  [bold]",
    ]  # fmt: skip
    assert [code.text for code in page.codes] == ["\tif x:\x1b[0m\n\n  [bold]"]
    assert not page.codes[0].colour()


@pytest.mark.parametrize("language", ["python", "json", "html", "bash", "diff", "console", "pycon"])
@given(text=st.text(st.sampled_from("ab<>/{}\"'#\\\n\t $>+-=é漢\x00"), max_size=60))
def test_colours_change_no_character(language: str, text: str) -> None:
    page = document(f"~~~{language}\n{text}\n~~~")
    texts = [line.text for code in page.codes for line in code.lines]
    while any(code.colour() for code in page.codes):
        pass
    assert [line.text for code in page.codes for line in code.lines] == texts


def test_long_code_is_coloured_in_steps() -> None:
    page = document("```py\n" + "value = 'text'\n" * 300 + "```")
    (code,) = page.codes
    steps = 0
    while code.colour():
        steps += 1
    assert steps >= 2
    assert all(len(line.spans) > 1 for line in code.lines)


@pytest.mark.parametrize("how", ["word", "space", "any"])
@given(
    text=st.text(st.sampled_from("ab é漢😀\u0301\u200d\ufe0f"), max_size=60),
    first=st.integers(1, 12),
    rest=st.integers(1, 12),
)
def test_wrapping_loses_nothing_but_the_space_between(
    how: str, text: str, first: int, rest: int
) -> None:
    text = text.replace("\u200d\u200d", "\u200d")
    found = wrap(text, first, rest, how)  # type: ignore[arg-type]
    for number, (start, end) in enumerate(found):
        assert cell_len(text[start:end].rstrip(" ")) <= max(2, rest if number else first)
        assert number == 0 or start == end or not unicodedata.combining(text[start])
    between = "".join(text[a[1] : b[0]] for a, b in pairwise(found))
    assert between.strip(" ") == "" and (how == "word" or not between)
    assert found[0][0] == 0 and text[found[-1][1] :].strip(" ") == ""


def test_words_are_kept_whole_and_wide_ones_are_not() -> None:
    assert rows("alpha beta gamma", 11) == ["alpha beta", "gamma"]
    assert rows("漢字漢字漢", 5) == ["漢字", "漢字", "漢"]
    assert rows("abc漢字", 6) == ["abc漢", "字"]
    assert rows("x" * 25, 10) == ["x" * 10, "x" * 10, "x" * 5]


def test_many_open_brackets_are_text() -> None:
    """Looking for links behind each would take a time by their square."""
    hostile = "[" * 300 + "\n" + "![" * 50 + "end"
    assert styled(hostile) == [((line, ""),) for line in hostile.split("\n")]
    assert styled("[a](https://example.org)") != [(("[a](https://example.org)", ""),)]


CUT = "Look:\n\n```python\ndef f(x):\n    return 'a'  # b\n\n```\n\n~~~\n~~~\n```py\n"


@pytest.mark.parametrize("end", range(len(CUT) + 1))
def test_code_that_is_cut_anywhere_gets_its_colours(end: int) -> None:
    document = Document()
    document.feed(CUT[:end])
    document.finish()
    for code in document.codes:
        code.close()
        while code.colour():
            pass
        assert all("".join(text for text, _ in line.spans) == line.text for line in code.lines)
