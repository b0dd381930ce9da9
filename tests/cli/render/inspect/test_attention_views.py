"""What views of attention and of the lens show, and that a page holds no code of a model."""

import base64
import json
import re
import struct
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import pytest
from rich.console import Console, RenderableType

from tissu_cli.render.inspect.attention import attention_view
from tissu_cli.render.inspect.attention_page import attention_page
from tissu_cli.render.inspect.lens import lens_view, most_positions
from tissu_cli.render.tokens import visible
from tissu_core.config.inspection import HeadConfig
from tissu_core.events.views import (
    AttentionSeen,
    HeadScored,
    HeadShown,
    LensAnswer,
    LensLayer,
    LensRead,
    LensSeen,
)

HOSTILE = "</script><script>alert(1)</script>\x1b[31m\u202e\n"


def drawn(view: RenderableType, width: int, *, color: bool = False) -> str:
    console = Console(
        width=width, force_terminal=color, color_system="truecolor" if color else None
    )
    with console.capture() as capture:
        console.print(view)
    return capture.get()


def attention_of(tokens: int, heads: int = 2, first: int = 0, layers: int = 3) -> AttentionSeen:
    """Every token reads the one before it, and the first one reads itself."""
    shares = []
    for row in range(first, tokens):
        shares.append(tuple(1.0 * (column == max(0, row - 1)) for column in range(first, row + 1)))
    every = [(layer, head) for layer in range(layers) for head in range(heads)]
    return AttentionSeen(
        model="m",
        tokens=tuple(f" t{number}" for number in range(tokens)),
        num_layers=layers,
        num_heads=heads,
        first=first,
        last=tokens - 1,
        heads=tuple(
            HeadScored(
                layer=layer,
                head=head,
                kind="induction" if (layer, head) == (1, 1) else "broad",
                entropy=1.0,
                previous=0.25,
                first=0.0,
                induction=0.75,
                local=None,
            )
            for layer, head in every
        ),
        shown=tuple(
            HeadShown(
                layer=layer,
                head=head,
                shares=tuple(shares),
                earlier=tuple(1 - sum(row) for row in shares),
                most=tuple(((max(0, row - 1), 1.0),) for row in range(first, tokens)),
            )
            for layer, head in every
        ),
    )


def one(seen: AttentionSeen) -> AttentionSeen:
    return replace(seen, heads=seen.heads[:1], shown=seen.shown[:1])


def test_the_grid_marks_every_head_by_its_kind() -> None:
    lines = drawn(attention_view(attention_of(6), HeadConfig(), 80), 80).splitlines()
    marks = [line.split()[1:3] for line in lines if line.strip()[:1].isdigit()][:3]
    assert marks == [["·", "·"], ["·", "I"], ["·", "·"]]
    assert any("1.1" in line and "75%" in line and "1.00 bits" in line for line in lines)


@pytest.mark.parametrize("width", [80, 160])
@pytest.mark.parametrize("heads", [2, 12, 32, 64])
def test_the_grid_fits(width: int, heads: int) -> None:
    text = drawn(attention_view(attention_of(6, heads), HeadConfig(), width), width)
    assert max(map(len, text.splitlines())) <= width
    line = next(line for line in text.splitlines() if line.startswith("     1 "))
    assert line.count("·") + line.count("I") >= heads


@pytest.mark.parametrize("width", [80, 160])
@pytest.mark.parametrize("tokens", [1, 9, 40, 200])
def test_the_map_fits_and_says_what_it_leaves_out(width: int, tokens: int) -> None:
    text = drawn(head_view(one(attention_of(tokens)), width), width)
    assert max(map(len, text.splitlines())) <= width
    is_cut = tokens == 200
    assert ("--from" in text) == is_cut
    assert ("… what is read of tokens 0 to" in text) == is_cut
    map_lines = [line for line in text.splitlines() if "█" in line and "▒" not in line]
    assert len(map_lines) == (tokens if not is_cut else len(map_lines)) >= min(tokens, 40)


def head_view(seen: AttentionSeen, width: int) -> RenderableType:
    return attention_view(seen, HeadConfig(layer=0, head=0), width)


def test_a_row_reads_the_token_that_it_reads() -> None:
    lines = drawn(head_view(one(attention_of(5)), 100), 100).splitlines()
    (row,) = (line for line in lines if line.startswith("3 ·t3"))
    assert "····██··" in row
    assert "·t2 100%" in row


def test_what_is_earlier_has_a_column() -> None:
    lines = drawn(head_view(one(attention_of(9, first=4)), 100), 100).splitlines()
    (row,) = (line for line in lines if line.startswith("4 ·t4"))
    assert "██··" in row and "·t3 100%" in row
    assert any("tokens 0 to 3" in line for line in lines)


def test_what_does_not_fit_is_told_in_the_column_of_what_is_earlier() -> None:
    seen = one(attention_of(200))
    shares = tuple((1.0,) + (0.0,) * row for row in range(200))  # all read the first token
    head = replace(seen.shown[0], shares=shares, earlier=(0.0,) * 200)
    text = drawn(head_view(replace(seen, shown=(head,)), 80), 80)
    rows = [line for line in text.splitlines() if line.startswith("199 ·t199")]
    assert rows[0].split()[2].startswith("█·")


@pytest.mark.parametrize("width", [80, 160])
def test_a_layers_heads_have_small_maps(width: int) -> None:
    seen = attention_of(200, heads=5, layers=1)
    text = drawn(attention_view(seen, HeadConfig(layer=0), width), width)
    assert max(map(len, text.splitlines())) <= width
    assert all(f"{head} broad" in text for head in range(5))


def test_text_of_a_model_is_harmless() -> None:
    seen = attention_of(2)
    seen = replace(seen, tokens=(HOSTILE, HOSTILE))
    for view in (head_view(one(seen), 80), lens_view(lens_of(3, token=HOSTILE), 80)):
        text = drawn(view, 80)
        assert "\x1b" not in text and "\u202e" not in text


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.scripts: list[str] = []
        self.loaded: list[str] = []
        self._is_script = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._is_script = tag == "script"
        if self._is_script:
            self.scripts.append("")
        self.loaded += [name for name, _ in attrs if name in ("src", "href")]

    def handle_data(self, data: str) -> None:
        if self._is_script:
            self.scripts[-1] += data

    def handle_endtag(self, tag: str) -> None:
        self._is_script = False


def page_data(seen: AttentionSeen) -> Any:
    page = _Page()
    page.feed(attention_page(seen))
    assert len(page.scripts) == 2 and page.loaded == []
    return json.loads(page.scripts[0])


def test_a_page_holds_every_head_and_loads_nothing() -> None:
    seen = attention_of(5, first=2)
    data = page_data(seen)
    assert [data["first"], data["last"], len(data["tokens"])] == [2, 4, 5]
    assert sorted(data["shares"]) == ["0.0", "0.1", "1.0", "1.1", "2.0", "2.1"]
    numbers = struct.unpack("<9H", base64.b64decode(data["shares"]["1.1"]))
    assert numbers == (1000, 0, 0, 1000, 0, 0, 0, 1000, 0)
    assert data["chosen"] == [0, 0]
    assert not re.search(r"https?:|@import|url\(", attention_page(seen))


def test_a_page_holds_no_code_of_a_model() -> None:
    seen = attention_of(2)
    seen = replace(seen, tokens=(HOSTILE, "__DATA__"), model=HOSTILE)
    data = page_data(seen)
    assert data["tokens"][0].startswith("</script><script>alert(1)</script>␛[31m")
    assert "innerHTML" not in attention_page(seen)


def lens_of(positions: int, token: str = " the", top: int = 1) -> LensSeen:
    read = LensRead(
        tokens=(token,) * top,
        probabilities=(0.42,) * top,
        answer_probability=0.1,
        answer_rank=1234,
        kl=3.5,
    )
    found = LensRead(
        tokens=(" Paris",) * top,
        probabilities=(0.9,) * top,
        answer_probability=0.9,
        answer_rank=1,
        kl=0.0,
    )
    rows = [("embed", read), ("0", found), ("1", read), ("2", found)]
    answer = LensAnswer(token=" Paris", probability=0.9, first_layer="0", stays_layer="2")
    return LensSeen(
        model="m",
        tokens=tuple(f" w{number}" for number in range(positions)),
        first=0,
        last=positions - 1,
        layers=tuple(LensLayer(name=name, reads=(row,) * positions) for name, row in rows),
        answers=(answer,) * positions,
    )


@pytest.mark.parametrize("width", [80, 160])
def test_the_lens_shows_the_last_positions_that_fit(width: int) -> None:
    lines = drawn(lens_view(lens_of(100), width), width).splitlines()
    assert max(map(len, lines)) <= width
    assert lines[0].split()[-1] == "99"
    assert len(lines[0].split()) == most_positions(width) + 1
    assert lines[3].count("·Paris") == most_positions(width) == lines[3].count("=█")
    assert lines[2].count("·the") == lines[2].count("▓") == most_positions(width)
    assert lines[6].split() == ["first"] + ["0"] * most_positions(width)
    assert lines[7].split() == ["stays"] + ["2"] * most_positions(width)


def test_tokens_that_do_not_fit_are_counted() -> None:
    text = drawn(lens_view(lens_of(1, top=9), 80), 80)
    assert max(map(len, text.splitlines())) <= 80
    assert "3 of 9 tokens fit" in text
    assert "fit" not in drawn(lens_view(lens_of(1, top=3), 80), 80)


@pytest.mark.parametrize(
    ("token", "shown"),
    [(" a b", "·a·b"), ("\n", "␊"), ("", ""), ("\u200b", r"\u200b"), ("\xa0", r"\xa0")],
)
def test_a_token_is_always_seen(token: str, shown: str) -> None:
    assert visible(token) == shown


def test_one_position_has_the_likeliest_and_how_far_the_answer_is() -> None:
    text = drawn(lens_view(lens_of(1, top=4), 100), 100)
    (line,) = (line for line in text.splitlines() if line.split()[:1] == ["1"])
    assert line.split()[:4] == ["1", "10.0%", "1,234", "3.50"]
    assert line.count("·the 42%") == 4
    assert "says ·Paris (90.0%): first on top after layer 0, to stay from layer 2" in text
