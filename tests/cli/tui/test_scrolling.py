"""A conversation that is longer than the screen."""

import threading

from tests.cli.tui.desk import Desk, with_texts
from tests.cli.tui.harness import played


@played
async def test_of_a_long_conversation_the_earlier_turns_are_asked_for(desk: Desk) -> None:
    desk.has("yes")
    async with desk.open(with_texts(*(str(number) for number in range(60)))) as chat:
        await chat.until(lambda: chat.texts == [str(number) for number in range(20, 60)])
        await chat.press("ctrl+home")
        await chat.until(lambda: chat.texts == [str(number) for number in range(60)])


@played
async def test_who_looked_away_is_not_moved_and_comes_back_with_ctrl_end(desk: Desk) -> None:
    lines = [f"line {number}\n\n" for number in range(60)]
    model = desk.has(lines, gate=threading.Event(), gate_at=40)
    async with desk.open() as chat:
        await chat.send("go")
        await chat.until(lambda: model.at_gate.is_set() and chat.shows("line 39"))
        await chat.press("pageup")
        await chat.until(lambda: not chat.shows("line 39"))
        before = chat.app.chat.transcript.scroll_y
        assert model.gate is not None
        model.gate.set()
        await chat.rest()
        assert chat.app.chat.transcript.scroll_y == before
        await chat.press("ctrl+end")
        await chat.until(lambda: chat.shows("line 59"))
