"""Copying, stopping and leaving with Ctrl+C."""

import threading

from tests.cli.tui.desk import Desk
from tests.cli.tui.harness import played


@played
async def test_a_turn_is_copied_as_it_was_written(desk: Desk) -> None:
    desk.has(["**bold**\n\n```\ncode\n```\n"])
    async with desk.open() as chat:
        await chat.ask("go")
        await chat.press("alt+up", "y")
        await chat.told("copied by a test")
        await chat.press("c", "up", "y", "c")
        await chat.told("that is for a reply")
        await chat.until(lambda: desk.copied == ["**bold**\n\n```\ncode\n```\n", "code", "go"])


@played
async def test_ctrl_c_copies_what_is_selected(desk: Desk) -> None:
    desk.has(["some words that are long enough to be wrapped " * 3])
    async with desk.open(size=(60, 20)) as chat:
        await chat.ask("go")
        body = chat.app.chat.transcript.views[1].body
        await chat.pilot.mouse_down(body, offset=(1, 0))
        await chat.pilot.hover(body, offset=(4, 1))
        await chat.pilot.mouse_up(body, offset=(4, 1))
        await chat.until(lambda: chat.app.chat.get_selected_text())
        selected = chat.app.chat.get_selected_text()
        await chat.press("ctrl+c")
        await chat.until(lambda: desk.copied == [selected])
        assert selected and selected in chat.texts[1] and "\n" not in selected
        assert not chat.app._exit


@played
async def test_ctrl_c_copies_what_is_selected_in_the_prompt(desk: Desk) -> None:
    desk.has()
    async with desk.open() as chat:
        await chat.type("draft")
        await chat.until(lambda: chat.typed == "draft")
        await chat.press("shift+left", "shift+left", "ctrl+c")
        await chat.until(lambda: desk.copied == ["ft"])


@played
async def test_ctrl_c_stops_and_twice_leaves(desk: Desk) -> None:
    model = desk.has(("one ", "two "), gate=threading.Event(), gate_at=1)
    async with desk.open() as chat:
        await chat.send("go")
        await chat.until(lambda: model.at_gate.is_set() and chat.texts[1:] == ["one "])
        await chat.press("ctrl+c")
        await chat.rest()
        assert "stopped" in chat.facts[-1] and not chat.app._exit
        await chat.press("ctrl+c")
        await chat.told("Ctrl+C again leaves")
        assert not chat.app._exit
        await chat.press("ctrl+c")
        await chat.until(lambda: chat.app._exit)


@played
async def test_ctrl_q_leaves(desk: Desk) -> None:
    desk.has()
    async with desk.open() as chat:
        await chat.press("ctrl+q")
        await chat.until(lambda: chat.app._exit)
