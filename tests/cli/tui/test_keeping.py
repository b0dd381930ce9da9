"""What is in the file, and when."""

import os
import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import pytest

from tests.cli.tui.desk import Desk, texts
from tests.cli.tui.harness import played
from tests.scripted import ScriptedModel
from tissu_cli.sessions.history import History, NoHistory

WORDS = ("one ", "two ", "three ", "four ", "five")


def in_file(file: Path) -> list[tuple[str, str, str]]:
    """Role, state and text of every turn, as another program reads them."""
    with closing(sqlite3.connect(file)) as connection:
        return connection.execute("SELECT role, state, text FROM turn ORDER BY number").fetchall()


@played
async def test_the_message_is_in_the_file_before_the_model_is_asked(desk: Desk) -> None:
    seen: list[tuple[str, str, str]] = []

    class Watching(ScriptedModel):
        def reply(self, *args, **kwargs):
            seen.extend(in_file(desk.file))
            return super().reply(*args, **kwargs)

    desk.models["scripted"] = Watching([["yes"]])
    async with desk.open() as chat:
        await chat.ask("keep me")
    assert seen == [("user", "done", "keep me"), ("assistant", "writing", "")]
    assert in_file(desk.file)[-1] == ("assistant", "done", "yes")


@played
async def test_a_reply_is_in_the_file_while_it_is_written(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tissu_cli.sessions.talk._FLUSH_SECONDS", 0)
    model = desk.has(WORDS, gate=threading.Event(), gate_at=3)
    async with desk.open() as chat:
        await chat.send("count")
        await chat.until(model.at_gate.is_set)
        await chat.until(
            lambda: in_file(desk.file)[-1] == ("assistant", "writing", "one two three ")
        )


@played
async def test_a_message_that_waits_for_the_model_to_load_is_in_the_file(desk: Desk) -> None:
    gate = threading.Event()
    desk.has("yes", load_gate=gate)
    async with desk.open(is_ready=False) as chat:
        await chat.until(lambda: "loading weights" in chat.status)
        await chat.send("keep me")
        await chat.until(lambda: ("user", "done", "keep me") in in_file(desk.file))
        gate.set()
        await chat.rest()
        assert chat.texts == ["keep me", "yes"]
    assert [role for role, *_ in in_file(desk.file)] == ["user", "assistant"]


@played
async def test_drafts_survive_an_end(desk: Desk) -> None:
    desk.has("1", "2")
    async with desk.open() as chat:
        await chat.type("not yet sent")
        await chat.until(lambda: chat.typed == "not yet sent")
    async with desk.open() as chat:
        await chat.until(lambda: chat.typed == "not yet sent")
        await chat.press("enter")
        await chat.rest()
        await chat.type("of this one")
        await chat.until(lambda: chat.typed == "of this one")
        kept = chat.conversation
    async with desk.open() as chat:
        await chat.pilot.pause(0.05)
        assert chat.typed == ""
    with closing(History.open(desk.file)) as history:
        kept = history.load(kept.id)
    async with desk.open(kept) as chat:
        await chat.until(lambda: chat.typed == "of this one")


@played
async def test_a_draft_is_kept_a_moment_after_it_is_typed(desk: Desk) -> None:
    desk.has()
    async with desk.open() as chat:
        await chat.type("half a tho")
        with closing(History.open(desk.file)) as history:
            await chat.until(lambda: history.get("draft") == "half a tho")


@played
async def test_what_was_sent_is_no_draft_any_more(desk: Desk) -> None:
    desk.has("yes")
    async with desk.open() as chat:
        await chat.type("hello")
        with closing(History.open(desk.file)) as history:
            await chat.until(lambda: history.get("draft") == "hello")
        await chat.press("enter")
        await chat.rest()
    async with desk.open() as chat:
        await chat.until(lambda: chat.app.chat.is_complete)
        assert chat.typed == ""


@played
async def test_without_history_nothing_is_written(desk: Desk) -> None:
    desk.has("yes", "2")
    desk.history = NoHistory()
    async with desk.open() as chat:
        await chat.ask("secret")
        await chat.type("draft")
        await chat.until(lambda: chat.typed == "draft")
        await chat.press("ctrl+s")
        await chat.opened("conversations")
        assert len(chat.options) == 1
    assert [*os.walk(desk.folder)] == [(str(desk.folder), [], [])]


@played
async def test_what_happened_to_the_file_is_told(desk: Desk) -> None:
    desk.has("1")
    desk.file.parent.mkdir()
    desk.file.write_bytes(b"this was never a database" * 100)
    async with desk.open() as chat:
        await chat.told("chats.db")
        await chat.ask("one")
    assert texts(desk.only()) == ["one", "1"]


@played
async def test_a_file_that_is_removed_meanwhile_is_written_again(desk: Desk) -> None:
    desk.has("1", "2")
    async with desk.open() as chat:
        await chat.ask("one")
        for path in desk.file.parent.glob("chats.db*"):
            path.unlink()
        await chat.ask("two")
        await chat.told("was removed or replaced")
    assert texts(desk.only()) == ["one", "1", "two", "2"]


@played
async def test_leaving_while_a_reply_comes_keeps_what_was_said(desk: Desk) -> None:
    model = desk.has(WORDS, gate=threading.Event(), gate_at=3)
    async with desk.open() as chat:
        await chat.send("count")
        await chat.until(model.at_gate.is_set)
        await chat.send("this waits")
        await chat.until(lambda: chat.queue)
        await chat.type("and a draft")
        await chat.until(lambda: chat.typed == "and a draft")
    kept = desk.only()
    assert texts(kept) == ["count", "one two three "]
    assert kept.path()[-1].state == "stopped"
    async with desk.open(kept) as chat:
        await chat.until(lambda: chat.typed == "this waits\nand a draft")
        assert "stopped" in chat.facts[-1]
