"""The body of a reply in a real app: what is drawn, what is selected, which token is where."""

import asyncio
import re
from collections.abc import Awaitable, Callable

import pytest
from hypothesis import given, settings
from textual.app import App, ComposeResult
from textual.containers import VerticalScroll
from textual.geometry import Offset
from textual.pilot import Pilot
from textual.selection import SELECT_ALL, Selection

from tests.cli.render.markdown.test_document import HOSTILE
from tests.cli.render.markdown.test_splitter import markdown
from tissu_cli.render.markdown import inline
from tissu_cli.render.markdown.splitter import Splitter
from tissu_cli.tui.reply_body import ReplyBody

CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
REPLY = """# A title

Some **strong** words, and more of them than there is room for in twenty columns.

1. one
2. two 漢字 and 😀
   - nested

> a quote

| name | n |
|---|--:|
| a | 10 |

```py
def f():
	return "text that is too long for one row"
```
---
end"""


class Bodied(App[None]):
    def __init__(self, body: ReplyBody) -> None:
        super().__init__()
        self.body = body

    def compose(self) -> ComposeResult:
        with VerticalScroll():
            yield self.body


def run(
    body: ReplyBody, act: Callable[[Pilot[None]], Awaitable[None]], size: tuple[int, int] = (80, 40)
) -> None:
    async def main() -> None:
        async with Bodied(body).run_test(size=size) as pilot:
            await pilot.pause()
            await act(pilot)

    asyncio.run(main())


def drawn(body: ReplyBody) -> list[str]:
    return [body.render_line(y).text.rstrip() for y in range(body.size.height)]


@pytest.mark.parametrize("width", [20, 40, 80, 200])
def test_streamed_is_drawn_as_loaded_and_a_resize_wraps_anew(width: int) -> None:
    streamed, loaded = ReplyBody(), ReplyBody(REPLY)
    seen: list[list[str]] = []

    async def stream(pilot: Pilot[None]) -> None:
        for start in range(0, len(REPLY), 5):
            streamed.append(REPLY[start : start + 5])
            if start % 50 == 0:
                await pilot.pause()
        streamed.finish()
        await pilot.pause()
        seen.append(drawn(streamed))
        await pilot.resize_terminal(60, 40)
        await pilot.resize_terminal(width, 40)
        await pilot.pause()
        seen.append(drawn(streamed))
        assert streamed.text == REPLY
        assert streamed.code_blocks() == ['def f():\n\treturn "text that is too long for one row"']

    async def look(pilot: Pilot[None]) -> None:
        seen.append(drawn(loaded))
        for y in range(loaded.size.height):
            assert loaded.render_line(y).cell_length == loaded.size.width

    run(streamed, stream, (width, 40))
    run(loaded, look, (width, 40))
    assert seen[0] == seen[1] == seen[2] and seen[0][0] == "A title"


@pytest.mark.parametrize("width", [20, 80])
def test_hostile_text_reaches_no_strip(width: int) -> None:
    text = HOSTILE + "\n- " + HOSTILE + "\n```" + HOSTILE + "\n" + HOSTILE
    text += "\n```\n|" + HOSTILE + "|\n|---|\n|" + HOSTILE + "|\n"
    body = ReplyBody()

    async def act(pilot: Pilot[None]) -> None:
        for char in text:
            body.append(char)
            assert not any(CONTROL.search(line) for line in drawn(body))
        body.finish()
        await pilot.pause()
        assert "[/INST] [bold]" in " ".join(drawn(body))
        assert not any(CONTROL.search(line) for line in drawn(body))

    run(body, act, (width, 40))


def test_what_is_finished_is_not_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    read = cut = 0
    styled, take = inline.styled, Splitter._take

    def counted(text: str, style: str = "") -> list[inline.Spans]:
        nonlocal read
        read += len(text)
        return styled(text, style)

    def taken(self: Splitter, piece: str, *, is_end: bool) -> None:
        nonlocal cut
        cut += len(piece)
        take(self, piece, is_end=is_end)

    monkeypatch.setattr("tissu_cli.render.markdown.document.styled", counted)
    monkeypatch.setattr(Splitter, "_take", taken)
    item = "- an item of *some* length\n"
    body = ReplyBody()

    async def act(pilot: Pilot[None]) -> None:
        nonlocal read, cut
        for number in range(200):
            if number == 100:
                await pilot.pause()
                read = cut = 0
            for start in range(0, len(item), 4):
                body.append(item[start : start + 4])
        # Each of seven pieces of an item reads no more than that item, once or twice.
        assert read < 100 * 7 * 2 * len(item)
        assert cut < 100 * 7 * 2 * len(item)
        body.append("\n")
        read = cut = 0
        for _ in range(1000):
            body.append("x" * 1000)
        assert read < 6000 * 1000
        assert cut < 6000 * 1000
        await pilot.pause()
        assert body.size.height == 200 + 1 + -(-1_000_000 // body.size.width)

    run(body, act)


def test_only_a_new_height_asks_for_a_layout(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[bool] = []
    refresh = ReplyBody.refresh

    def watched(self: ReplyBody, *regions: object, layout: bool = False, **more: bool) -> object:
        asked.append(layout)
        return refresh(self, *regions, layout=layout, **more)  # type: ignore[arg-type]

    body = ReplyBody()

    async def act(pilot: Pilot[None]) -> None:
        body.append("some")
        await pilot.pause()
        monkeypatch.setattr(ReplyBody, "refresh", watched)
        body.append(" more")
        body.append(" words")
        assert asked == [False, False]
        body.append("\n\nparagraph")
        assert asked == [False, False, True]
        await pilot.pause()
        assert drawn(body) == ["some more words", "", "paragraph"]

    run(body, act)


def test_a_reply_goes_on_after_its_end() -> None:
    body = ReplyBody("It was")

    async def act(pilot: Pilot[None]) -> None:
        body.finish()
        body.append(" *so*")
        body.finish()
        await pilot.pause()
        assert drawn(body) == ["It was so"]
        body.set_text("")
        await pilot.pause()
        assert body.size.height == 0

    run(body, act)


def test_plain_text_is_drawn_as_it_is() -> None:
    text = "# no *title*\n  kept\x1b[0m\n\nx"
    body = ReplyBody(is_markdown=False)

    async def act(pilot: Pilot[None]) -> None:
        for char in text:
            body.append(char)
        await pilot.pause()
        assert drawn(body) == ["# no *title*", "  kept\u241b[0m", "", "x"]
        assert body.code_blocks() == []
        body.append("y" * 5000)
        body.finish()
        await pilot.pause()
        assert body.get_selection(SELECT_ALL) == (text.replace("\x1b", "\u241b") + "y" * 5000, "\n")

    run(body, act)


@pytest.mark.parametrize("width", [20, 40, 200])
def test_a_selection_pastes_as_the_text_without_gutter_padding_and_wrapping(width: int) -> None:
    text = "Some words that wrap at all but one width, see.\n\n> a quote of several words\n\n"
    text += "2. an item\n   1. in it\n\n   ```\n   code  here\n     indented\n   ```\n***\nend"
    expected = "Some words that wrap at all but one width, see.\n\na quote of several words\n\n"
    expected += "2. an item\n   1. in it\n\ncode  here\n  indented\nend"
    body = ReplyBody(text)

    async def act(pilot: Pilot[None]) -> None:
        assert body.get_selection(SELECT_ALL) == (expected, "\n")

    run(body, act, (width, 40))


def test_a_part_is_selected_by_mouse_and_marked() -> None:
    body = ReplyBody("> 漢字 and words that go on to the next row\n\nend")

    async def act(pilot: Pilot[None]) -> None:
        before = body.render_line(0).text
        await pilot.mouse_down(body, offset=(4, 0))
        await pilot.hover(body, offset=(11, 1))
        await pilot.mouse_up(body, offset=(11, 1))
        await pilot.pause()
        assert pilot.app.screen.get_selected_text() == "字 and words that go on"
        marked = pilot.app.screen.get_component_rich_style("screen--selection").bgcolor
        segments = list(body.render_line(0))
        assert "".join(s.text for s in segments) == before
        chosen = [s.text for s in segments if s.style and s.style.bgcolor == marked]
        assert "".join(chosen).rstrip() == "字 and words"

    run(body, act, (20, 10))


@settings(max_examples=8, deadline=None)
@given(text=markdown)
def test_all_that_is_shown_is_selected(text: str) -> None:
    body = ReplyBody(text)

    async def act(pilot: Pilot[None]) -> None:
        selected, _ = body.get_selection(SELECT_ALL) or ("", "")
        rows = body._layout.rows if body._layout else []
        shown = "".join(part for row in rows for part, _ in row.spans)
        assert re.sub(r"\s", "", selected) == re.sub(r"\s", "", shown)

    run(body, act, (40, 20))


def test_the_selection_of_a_middle_row() -> None:
    body = ReplyBody("one two three four five six")

    async def act(pilot: Pilot[None]) -> None:
        assert body.get_selection(Selection(Offset(4, 0), Offset(5, 1))) == ("two three", "\n")
        assert body.get_selection(Selection(Offset(-2, 0), Offset(99, 0))) == ("one two", "\n")

    run(body, act, (12, 10))


def test_a_padded_body_is_drawn_as_textual_draws_it(monkeypatch: pytest.MonkeyPatch) -> None:
    body = ReplyBody(REPLY)

    async def act(pilot: Pilot[None]) -> None:
        for padding in ((0, 0), (0, 1), (0, 3, 0, 2), (1, 2)):
            body.styles.padding = padding
            await pilot.pause()
            ours = [strip.text for strip in body.render_lines(body.outer_size.region)]
            monkeypatch.setattr(ReplyBody, "opacity", 0.999)  # then it leaves all to Textual
            theirs = body.render_lines(body.outer_size.region)
            monkeypatch.undo()
            assert ours == [strip.text for strip in theirs]

    run(body, act)


def test_a_theme_changes_what_is_drawn() -> None:
    body = ReplyBody("**x** `y`")

    async def act(pilot: Pilot[None]) -> None:
        dark = list(body.render_line(0))
        pilot.app.theme = "textual-light"
        await pilot.pause()
        assert list(body.render_line(0)) != dark

    run(body, act)
