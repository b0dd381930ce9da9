"""Tokens show what they cost, in colour and without."""

import io

import pytest
from rich.console import Console
from rich.text import Text

from tissu_cli.render.token_costs import costliest, costly_text, costs_legend

TOKENS = ["The", " loom", "\x1b[2J", "zq", "\n", "went"]
COSTS = [None, 1.0, 2.5, 9.0, 0.1, 4.5]


def test_costly_tokens_stand_in_brackets_neighbours_together() -> None:
    drawn = costly_text(TOKENS, COSTS, 1.0, is_coloured=False)
    assert drawn.plain == "The loom[\u241b[2J][[zq]]\n[[went]]"
    costly = costly_text(["a", "\n\n", "b"], [1.0, 5.0, 1.0], 1.0, is_coloured=False)
    assert costly.plain == "a[[\u240a\n\u240a\n]]b", "a costly line end shows"
    together = costly_text(["a", "b", "c"], [5.0, 6.0, 1.0], 1.0, is_coloured=False)
    assert together.plain == "[[ab]]c"


def test_in_colour_each_level_has_its_own_background() -> None:
    drawn = costly_text(["a", "b", "c", "d"], [1.0, 2.5, 3.5, 4.5], 1.0, is_coloured=True)
    assert drawn.plain == "abcd"
    styles = {drawn.plain[span.start : span.end]: str(span.style) for span in drawn.spans}
    assert "a" not in styles and len({styles[letter] for letter in "bcd"}) == 3
    assert all(" on #" in styles[letter] for letter in "bcd")


def test_what_is_read_and_not_scored_is_dim() -> None:
    drawn = costly_text(["<|im_start|>", "a"], [None, 1.0], 1.0, is_coloured=True)
    assert [str(span.style) for span in drawn.spans] == ["dim"]


@pytest.mark.parametrize("is_coloured", [True, False])
def test_nothing_is_cut_off_where_lines_are_not_wrapped(*, is_coloured: bool) -> None:
    """As in a pipe: a passage is longer than a line."""
    out = io.StringIO()
    drawn = costly_text(["word "] * 64, [1.0] * 64, 1.0, is_coloured=is_coloured)
    Console(file=out, width=80, soft_wrap=True).print(drawn)
    assert out.getvalue().count("word") == 64


def test_the_costliest_come_first() -> None:
    line = costliest(TOKENS, COSTS)
    assert line.startswith("“zq” 9.0  “went” 4.5  “\u241b[2J” 2.5") and "The" not in line


def test_the_legend_says_what_marks_mean() -> None:
    plain = costs_legend("a usual token", is_coloured=False)
    assert plain.plain == "[one] 2, [[two]] 4 times a usual token and more"
    assert isinstance(costs_legend("it", is_coloured=True), Text)
    assert costs_legend("it", is_coloured=True).plain == (
        "yellow 2, orange 3, red 4 times it and more"
    )
