"""A reply is cut the same way however it comes, and what is finished is not read again."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tissu_cli.render.markdown import splitter as module
from tissu_cli.render.markdown.blocks import Block
from tissu_cli.render.markdown.splitter import MAX_CHARACTERS, MAX_ROWS, Splitter

PIECES = [
    "word ", "two words", "\n", "\n\n", "\r\n", "- ", "  - ", "    - ", "1. ", "12) ", "> ", "# ",
    "### t #", "```py\n", "```", "~~~~", "    ", "\t", "| a | b |\n", "|---|:-:|\n", "|", "---",
    "===", "***", "**", "`", "[a](b)", "\\|", "<b>", "漢字", "\u202e", "\x1b[31m", "x" * 70,
]  # fmt: skip
markdown = st.lists(st.sampled_from(PIECES), max_size=40).map("".join)


def blocks(*pieces: str) -> list[Block]:
    splitter = Splitter()
    found = [block for piece in pieces for block in splitter.feed(piece)]
    return found + splitter.finish()


def drawn(text: str) -> list[tuple[str, str]]:
    """Kind and text of each block, markers of lists in front."""
    return [
        (block.kind, "".join(text for text, _ in (*block.first, *block.head)) + block.text)
        for block in blocks(text)
    ]


@given(markdown, st.lists(st.integers(0, 2000), max_size=12))
def test_pieces_give_the_blocks_of_the_whole(text: str, cuts: list[int]) -> None:
    places = sorted({0, len(text), *(cut for cut in cuts if cut < len(text))})
    pieces = [text[a:b] for a, b in pairwise(places)]
    assert blocks(*pieces) == blocks(text) == blocks(*text)


@given(markdown)
def test_looking_at_the_open_end_changes_nothing(text: str) -> None:
    splitter, found = Splitter(), []
    for char in text:
        found += splitter.feed(char)
        before = list(found)
        assert splitter.tail() == splitter.tail()
        assert found == before
    assert found + splitter.finish() == blocks(text)


@pytest.mark.parametrize(
    ("text", "finished"),
    [
        ("a paragraph\n", []),
        ("a paragraph\n\n", ["a paragraph"]),
        ("# a heading\n", ["a heading"]),
        ("- one\n- ", []),
        ("- one\n- two\n", ["one"]),
        ("- one\n- two\n\nafter\n", ["one", "two"]),
        ("```\ncode\n", ["code"]),
        ("| a |\n|---|\n| 1 |\n", []),
        ("| a |\n|---|\n| 1 |\nafter\n", ["| a |\n| 1 |"]),
        ("> quote\n\n", ["quote"]),
        ("***\n", [""]),
    ],
)
def test_a_block_is_finished_when_nothing_can_change_it(text: str, finished: list[str]) -> None:
    splitter = Splitter()
    assert [block.text for char in text for block in splitter.feed(char)] == finished


def test_each_kind_of_block() -> None:
    text = """Title
=====
para
goes on
1986. is a year
1. one
   more of it
2) two
  - nested
lazy
> quote
> - inside

    indented

    code
~~~ sh
fence ```
~~~
a | b
-|-
1 | 2 | 3
* * *
####### seven"""
    assert drawn(text) == [
        ("heading", "Title"),
        ("paragraph", "para\ngoes on\n1986. is a year"),
        ("paragraph", "1. one\nmore of it"),
        ("paragraph", "2) two"),
        ("paragraph", "   • nested\nlazy"),
        ("paragraph", "  quote"),
        ("paragraph", "  • inside"),
        ("code", "indented"),
        ("code", ""),
        ("code", "code"),
        ("code end", ""),
        ("code", "fence ```"),
        ("code end", ""),
        ("table", "a | b\n1 | 2 | 3"),
        ("rule", ""),
        ("paragraph", "####### seven"),
    ]


def test_a_fence_in_an_item_need_not_be_indented() -> None:
    text = "1. do\n   ```sh\nls\n   ```\n2. done"
    assert drawn(text)[1:] == [("code", "   ls"), ("code end", "   "), ("paragraph", "2. done")]


def test_an_empty_line_is_drawn_where_there_was_one_and_before_headings() -> None:
    found = blocks("a\n# b\nc\n\n\n\nd\n- e\n- f\n\n- g")
    assert [block.text for block in found] == ["a", "b", "c", "d", "e", "f", "g"]
    assert [block.text for block in found if block.gap is not None] == ["b", "d", "g"]


def test_marks_that_may_become_something_else_are_not_shown_yet() -> None:
    for mark in ("-", "- ", "1", "```", "|"):
        shown = Splitter()
        shown.feed("text\n" + mark)
        assert [block.text for block in shown.tail()] == ["text"]


def test_what_is_open_stays_small(monkeypatch: pytest.MonkeyPatch) -> None:
    longest = 0
    read = module.Splitter._grow

    def grow(self: Splitter, text: str) -> None:
        nonlocal longest
        read(self, text)
        longest = max(longest, len(self._leaf.text) if self._leaf else 0)

    monkeypatch.setattr(module.Splitter, "_grow", grow)
    for text in ("word " * 4000, "line\n" * 4000, "x" * 20_000, "`[" * 10_000):
        found = blocks(*(text[at : at + 100] for at in range(0, len(text), 100)))
        joined = "".join(("" if b.joins or not n else "\n") + b.text for n, b in enumerate(found))
        assert joined.strip() == text.strip()
        assert max(len(block.text) for block in found) <= MAX_CHARACTERS
    assert 0 < longest <= MAX_CHARACTERS


def test_a_long_table_is_finished_in_pieces() -> None:
    found = blocks("| a |\n|---|\n" + "| 1 |\n" * (2 * MAX_ROWS))
    assert [block.text.count("1") for block in found] == [MAX_ROWS - 1, MAX_ROWS, 1]
    assert [block.level for block in found] == [1, 0, 0]


def test_a_line_of_a_megabyte_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    read = 0
    take = Splitter._take

    def counted(self: Splitter, piece: str, *, is_end: bool) -> None:
        nonlocal read
        read += len(piece)
        take(self, piece, is_end=is_end)

    monkeypatch.setattr(Splitter, "_take", counted)
    for start in ("", "# ", "- ", "> ", "```\n", "| a"):
        read = 0
        text = start + "x" * 1_000_000
        found = blocks(*(text[at : at + 5000] for at in range(0, len(text), 5000)))
        assert read <= len(text)
        assert sum(block.text.count("x") for block in found) == 1_000_000
        assert len(found) < 510
