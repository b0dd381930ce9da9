"""Conversations: begun, named, found again, listed, deleted."""

import threading
from contextlib import closing

import pytest

from tests.cli.tui.desk import Desk, texts
from tests.cli.tui.harness import played
from tissu_cli.sessions.history import History
from tissu_core.errors import BusyError

WORDS = ("one ", "two ", "three ", "four ", "five")


@played
async def test_a_conversation_gets_a_title_and_is_renamed(desk: Desk) -> None:
    desk.has("yes")
    async with desk.open() as chat:
        await chat.ask("about cats")
        await chat.until(lambda: "about cats" in chat.top)
        await chat.send("/rename Felines")
        await chat.until(lambda: "Felines" in chat.top)
        await chat.send("/rename")
        await chat.told("a title is missing")
    assert desk.only().title == "Felines"


@pytest.mark.parametrize("way", ["/new", "/clear", "ctrl+n"])
@played
async def test_another_conversation_begins(desk: Desk, way: str) -> None:
    desk.has("1", "2")
    async with desk.open() as chat:
        await chat.ask("one")
        await chat.send("/set top_k=7")
        await (chat.send(way) if way.startswith("/") else chat.press(way))
        await chat.until(lambda: chat.texts == [] and chat.shows("Type a message"))
        await chat.ask("two")
        assert chat.texts == ["two", "2"] and chat.app.chat.talk.settings.top_k == 7
    assert sorted(texts(each) for each in desk.kept()) == [["one", "1"], ["two", "2"]]


@played
async def test_a_letter_typed_after_a_new_conversation_goes_to_the_prompt(desk: Desk) -> None:
    desk.has("1")
    async with desk.open() as chat:
        await chat.ask("one")
        await chat.press("alt+up", "ctrl+n")
        await chat.until(lambda: chat.texts == [])
        await chat.press("x")
        await chat.until(lambda: chat.typed == "x")


@pytest.mark.parametrize("by", ["title", "id", "part"])
@played
async def test_an_earlier_conversation_is_resumed(desk: Desk, by: str) -> None:
    desk.has("3")
    earlier = desk.hold("about cats", "they purr")
    desk.hold("about dogs", "they bark")
    name = {"title": "about cats", "id": earlier.id[:8], "part": "CAT"}[by]
    async with desk.open() as chat:
        await chat.send(f"/resume {name}")
        await chat.until(lambda: chat.texts == ["about cats", "they purr"])
        await chat.ask("more")
        assert chat.texts[2:] == ["more", "3"]
        await chat.send("/resume cots")
        await chat.told("there is no conversation 'cots'")


@played
async def test_the_conversation_that_is_open_may_be_resumed(desk: Desk) -> None:
    desk.has("1", "2")
    async with desk.open() as chat:
        await chat.ask("one")
        await chat.send("/resume one")
        await chat.ask("two")
        assert chat.texts == ["one", "1", "two", "2"]
        with closing(History.open(desk.file)) as other, pytest.raises(BusyError):
            other.hold(chat.conversation.id)
    assert texts(desk.only()) == ["one", "1", "two", "2"]


@pytest.mark.parametrize("way", ["ctrl+s", "/sessions", "/resume"])
@played
async def test_earlier_conversations_are_searched_and_chosen(desk: Desk, way: str) -> None:
    desk.has()
    desk.hold("about cats", "they purr")
    desk.hold("about dogs", "they bark")
    async with desk.open() as chat:
        await (chat.send(way) if way.startswith("/") else chat.press(way))
        await chat.opened("conversations")
        await chat.until(lambda: len(chat.options) == 2)
        await chat.type("purr")
        await chat.until(lambda: len(chat.options) == 1 and "about cats" in chat.options[0])
        await chat.press("enter")
        await chat.until(lambda: chat.texts == ["about cats", "they purr"])


@played
async def test_sessions_with_words_searches_at_once(desk: Desk) -> None:
    desk.has()
    desk.hold("about cats", "they purr")
    desk.hold("about dogs", "they bark")
    async with desk.open() as chat:
        await chat.send("/sessions bark")
        await chat.opened("conversations")
        await chat.until(lambda: len(chat.options) == 1 and "about dogs" in chat.options[0])
        await chat.back()
        assert chat.texts == []


@played
async def test_in_the_list_a_conversation_is_renamed_deleted_and_exported(desk: Desk) -> None:
    desk.has()
    desk.hold("about cats", "they purr")
    desk.hold("about dogs", "they bark")
    async with desk.open() as chat:
        await chat.press("ctrl+s")
        await chat.opened("conversations")
        await chat.press("down")
        name = chat.options[1].split("  ")[0]
        await chat.press("ctrl+t")
        await chat.opened("rename")
        await chat.fill("Renamed")
        await chat.press("enter")
        await chat.opened("conversations")
        await chat.until(lambda: any("Renamed" in option for option in chat.options))
        place = next(n for n, option in enumerate(chat.options) if "Renamed" in option)
        await chat.press(*["down"] * place, "ctrl+e")
        await chat.until(lambda: not chat.is_over)
        await chat.told("written: chat-renamed.md")
        assert name in (desk.folder / "chat-renamed.md").read_text()
        await chat.press("ctrl+s")
        await chat.opened("conversations")
        await chat.press(*["down"] * place, "ctrl+d")
        await chat.opened("Delete “Renamed”?")
        await chat.press("n")
        await chat.opened("conversations")
        assert len(chat.options) == 2
        await chat.press(*["down"] * place, "ctrl+d")
        await chat.opened("Delete “Renamed”?")
        await chat.press("y")
        await chat.opened("conversations")
        await chat.until(lambda: len(chat.options) == 1 and "Renamed" not in chat.options[0])
    assert desk.only().title != "Renamed"


@played
async def test_this_conversation_is_deleted(desk: Desk) -> None:
    desk.has("yes")
    earlier = desk.hold("about cats", "they purr")
    async with desk.open() as chat:
        await chat.ask("forget me")
        await chat.send("/delete")
        await chat.told("deleted: forget me")
        await chat.until(lambda: chat.texts == [])
        await chat.send("/delete about cats")
        await chat.told("deleted: about cats")
        await chat.send(f"/delete {earlier.id}")
        await chat.told("there is no conversation")
    assert desk.kept() == []


@played
async def test_a_conversation_that_is_deleted_while_a_reply_comes_stays_deleted(
    desk: Desk,
) -> None:
    model = desk.has(WORDS, gate=threading.Event(), gate_at=3)
    async with desk.open() as chat:
        await chat.send("forget me")
        await chat.until(model.at_gate.is_set)
        await chat.send("/delete")
        await chat.told("deleted: forget me")
        await chat.until(lambda: not chat.app.chat.is_writing and chat.texts == [])
    assert desk.kept() == []


@played
async def test_deleting_what_was_never_said_is_no_error(desk: Desk) -> None:
    desk.has("1")
    async with desk.open() as chat:
        await chat.send("/delete")
        await chat.pilot.pause(0.05)
        assert not any("there is no conversation" in notice for notice in chat.notices)
        await chat.ask("one")


@played
async def test_a_conversation_that_is_open_elsewhere_is_refused(desk: Desk) -> None:
    desk.has("1")
    other = desk.hold("about cats", "they purr")
    with closing(History.open(desk.file)) as elsewhere:
        elsewhere.hold(other.id)
        async with desk.open() as chat:
            await chat.ask("mine")
            await chat.send("/resume about cats")
            await chat.told("open in another terminal: about cats")
            await chat.send("/delete about cats")
            await chat.told("open in another terminal: about cats")
            assert chat.texts == ["mine", "1"]
