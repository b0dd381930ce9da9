"""The tokens of a reply on the screen: which is where, and how likely it was."""

import pytest
from textual.pilot import Pilot
from textual.selection import SELECT_ALL

from tests.cli.render.markdown.test_document import HOSTILE
from tests.cli.tui.test_reply_body import CONTROL, drawn, run
from tissu_cli.render.markdown.lines import Line
from tissu_cli.tui.reply_body import ReplyBody
from tissu_core.events.replies import TokenGenerated


def token(text: str, logprob: float = -0.1) -> TokenGenerated:
    return TokenGenerated(text=text, token_id=1, logprob=logprob)


TOKENS = [
    *map(
        token, ["The", " cat", " sat", ".\n", "\n", "", "漢", "字", "", "", "😀", " a\tb\x1b", " "]
    ),
    *(token(f" w{n}", -n / 20) for n in range(100)),
]


@pytest.mark.parametrize("width", [20, 80])
def test_each_cell_of_the_lens_knows_its_token(width: int) -> None:
    body = ReplyBody("".join(t.text for t in TOKENS))

    async def act(pilot: Pilot[None]) -> None:
        body.set_lens(TOKENS[:10], 0)
        body.append_tokens(TOKENS[10:20])
        await pilot.pause()
        for new in TOKENS[20:]:
            body.append_tokens([new])
        await pilot.pause()
        assert body.token_at(0, 0) == 0 and body.token_at(3, 0) == 1
        assert body.token_at(0, 2) == 6 and body.token_at(2, 2) == 7 and body.token_at(5, 2) == 10
        assert body.token_at(0, -1) is body.token_at(79, 0) is body.token_at(0, 999) is None
        first: dict[int, int] = {}
        for y in range(body.size.height):
            for x in range(body.size.width):
                if (at := body.token_at(x, y)) is not None:
                    first.setdefault(at, y)
        assert sorted(first) == [n for n, t in enumerate(TOKENS) if t.text]
        assert {n: body.line_of_token(n) for n in first} == first
        assert body.line_of_token(8) == body.line_of_token(10)
        assert body.get_selection(SELECT_ALL) == (
            "".join(t.text for t in TOKENS).replace("\x1b", "\u241b").replace("\t", "  "),
            "\n",
        )
        body.set_lens(None, None)
        await pilot.pause()
        assert body.token_at(0, 0) is None
        assert drawn(body)[0] == "The cat sat."

    run(body, act, (width, 60))


def test_lens_of_a_growing_list_takes_only_what_is_new(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = 0
    wrap = Line.rows

    def counted(self: Line, width: int) -> list[tuple[int, int]]:
        nonlocal rows
        found = wrap(self, width)
        rows += len(found)
        return found

    monkeypatch.setattr(Line, "rows", counted)
    tokens: list[TokenGenerated] = []
    body = ReplyBody()

    async def act(pilot: Pilot[None]) -> None:
        body.set_lens(tokens, None)
        await pilot.pause()
        for number in range(2000):
            tokens.append(token(f" word{number}"))
            body.set_lens(tokens, number)
        await pilot.pause()
        assert body.size.height > 200
        assert rows < 2000 * 12

    run(body, act)


@pytest.mark.parametrize("no_color", [False, True])
def test_the_less_likely_the_stronger_the_tint(
    no_color: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if no_color:
        monkeypatch.setenv("NO_COLOR", "1")
    body = ReplyBody()
    tokens = [token(f"{n}", logprob) for n, logprob in enumerate([-0.0, -2, -2, -9, float("nan")])]

    async def act(pilot: Pilot[None]) -> None:
        body.set_lens(tokens, 4)
        await pilot.pause()
        sure, likely, other, unlikely, cursor = [s.style for s in body.render_line(0)][:5]
        assert sure and likely and other and unlikely and cursor
        assert likely != other, "neighbours are told apart"
        assert cursor.reverse
        if no_color:
            assert (sure.underline, other.underline, unlikely.underline) == (False, True, True)
            assert (sure.bold, other.bold, unlikely.bold) == (False, False, True)
        else:
            red = [s.bgcolor.triplet.red for s in (sure, likely, unlikely) if s.bgcolor]  # type: ignore[union-attr]
            assert red == sorted(set(red))

    run(body, act)


def test_hostile_tokens_reach_no_strip() -> None:
    body = ReplyBody()

    async def act(pilot: Pilot[None]) -> None:
        body.set_lens([token(char) for char in HOSTILE], 3)
        await pilot.pause()
        assert drawn(body)[0].startswith("\u241b]52;c;")
        assert not any(CONTROL.search(line) for line in drawn(body))

    run(body, act, (20, 40))
