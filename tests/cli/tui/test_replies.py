"""A reply while it comes: stopped, continued, asked for again, edited; what waits meanwhile."""

import threading

import pytest

from tests.cli.tui.desk import Desk, texts
from tests.cli.tui.harness import Chat, played, version
from tests.scripted import ScriptedModel

HELD = 3
WORDS = ("one ", "two ", "three ", "four ", "five")


def held(desk: Desk, *replies: tuple[str, ...]) -> ScriptedModel:
    """A model whose replies wait behind three tokens."""
    return desk.has(*(replies or (WORDS,)), gate=threading.Event(), gate_at=HELD)


async def until_held(chat: Chat, model: ScriptedModel, text: str = "one two three ") -> None:
    await chat.until(model.at_gate.is_set)
    await chat.until(lambda: chat.texts[-1:] == [text])


@pytest.mark.parametrize(
    "tokens",
    [
        ("plain ", "words"),
        ("漢", "字", "かな", "混じり"),
        ("", "", "", "😀", " and ", "", "👩‍👩‍👧"),
        ("# title\n\n", "- a\n", "- b\n\n```py\nx = 1\n", "```\n"),
        ("  spaces at both ends  ", "\n\n"),
        ("",),
        (),
    ],
)
@played
async def test_the_text_of_a_reply_is_what_the_model_said(
    desk: Desk, tokens: tuple[str, ...]
) -> None:
    desk.has(tokens)
    async with desk.open() as chat:
        await chat.ask("go")
        assert chat.texts == ["go", "".join(tokens)]
    assert texts(desk.only()) == ["go", "".join(tokens)]


@played
async def test_a_reply_is_drawn_once_while_it_comes(desk: Desk) -> None:
    model = held(desk, WORDS, WORDS, WORDS)
    async with desk.open() as chat:
        for _ in range(3):
            await chat.send("go")
            await until_held(chat, model)
            assert model.gate is not None
            await chat.press("escape")
            await chat.rest()


@played
async def test_escape_stops_within_a_token_and_keeps_what_was_said(desk: Desk) -> None:
    model = held(desk)
    async with desk.open() as chat:
        await chat.send("count")
        await until_held(chat, model)
        assert "●" in chat.status
        await chat.press("escape")
        await chat.rest()
        assert chat.texts == ["count", "one two three "]
        assert "stopped" in chat.facts[-1]
        assert "○" in chat.status and "3 out" in chat.status
    kept = desk.only().path()[-1]
    assert (kept.text, kept.state, len(kept.tokens)) == ("one two three ", "stopped", HELD)


@pytest.mark.parametrize("way", ["o", "/continue"])
@played
async def test_a_stopped_reply_goes_on_in_the_same_turn(desk: Desk, way: str) -> None:
    model = held(desk, WORDS, WORDS[3:])
    async with desk.open() as chat:
        await chat.send("count")
        await until_held(chat, model)
        await chat.press("escape")
        await chat.rest()
        turn = chat.path[-1]
        model.gate_at = 1
        if way == "o":
            await chat.press("alt+up", "o")
        else:
            await chat.send(way)
        await until_held(chat, model, "one two three four ")
        assert model.gate is not None
        model.gate.set()
        await chat.rest()
        assert chat.texts == ["count", "".join(WORDS)]
        assert chat.path[-1] is turn and "stopped" not in chat.facts[-1]
    assert model.asked[1].written == [model._vocabulary.index(word) for word in WORDS[:3]]
    assert [token.text for token in desk.only().path()[-1].tokens] == [*WORDS]


@played
async def test_a_reply_that_ended_by_itself_does_not_go_on(desk: Desk) -> None:
    model = desk.has("done.")
    async with desk.open() as chat:
        await chat.ask("count")
        await chat.send("/continue")
        await chat.told("ended by itself")
        await chat.press("alt+up", "o")
        await chat.told("r asks for another one")
    assert len(model.asked) == 1


@pytest.mark.parametrize("way", ["r", "/retry", "/regenerate"])
@played
async def test_another_reply_is_a_version_beside_the_first(desk: Desk, way: str) -> None:
    desk.has("first", "second")
    async with desk.open() as chat:
        await chat.ask("go")
        await (chat.press("alt+up", "r") if way == "r" else chat.send(way))
        await chat.until(lambda: chat.texts == ["go", "second"])
        await chat.rest()
        assert chat.facts[-1].startswith(version(2, 2))
        await chat.press(*(["left"] if way == "r" else ["alt+up", "left"]))
        await chat.until(lambda: chat.texts == ["go", "first"])
        assert chat.facts[-1].startswith(version(1, 2))
        await chat.press("left")
        await chat.told("there is no older version")
        await chat.press("right")
        await chat.until(lambda: chat.texts == ["go", "second"])
    assert texts(desk.only()) == ["go", "second"]


@played
async def test_several_replies_are_asked_for_at_once(desk: Desk) -> None:
    desk.has("1", "2", "3", "4")
    async with desk.open() as chat:
        await chat.ask("go")
        await chat.send("/retry 3")
        await chat.until(lambda: chat.texts == ["go", "4"])
        await chat.rest()
        assert chat.facts[-1].startswith(version(4, 4))
        await chat.send("/retry 99")
        await chat.told("'99' is no number from 1 to 8")


@pytest.mark.parametrize("held_at", [0, HELD])
@played
async def test_escape_ends_several_replies_and_leaves_no_empty_version(
    desk: Desk, held_at: int
) -> None:
    model = desk.has(("first",), WORDS, WORDS, WORDS, gate=threading.Event(), gate_at=9)
    async with desk.open() as chat:
        await chat.ask("go")
        model.gate_at = held_at
        await chat.send("/retry 3")
        await until_held(chat, model, "".join(WORDS[:held_at]))
        assert len(chat.conversation.turns) == 5
        await chat.press("escape")
        await chat.rest()
        left = ["first", "one two three "] if held_at else ["first"]
        assert chat.texts == ["go", left[-1]]
        assert [turn.text for turn in chat.conversation.turns.values()] == ["go", *left]
        await chat.send("/retry")
        await chat.until(lambda: len(model.asked) == 3)
        await chat.press("escape")
        await chat.rest()
    kept = [(turn.text, turn.state) for turn in desk.only().turns.values()]
    assert kept[:2] == [("go", "done"), ("first", "done")]
    assert all(text for text, _ in kept)


@played
async def test_of_several_replies_the_one_that_is_written_is_shown(desk: Desk) -> None:
    model = held(desk, WORDS, WORDS)
    async with desk.open() as chat:
        await chat.send("go")
        await until_held(chat, model)
        await chat.send("/retry 2")
        await until_held(chat, model)
        assert chat.facts[-1].startswith(version(2, 3))


@pytest.mark.parametrize("way", ["e", "/edit 1", "/edit 1 three"])
@played
async def test_an_earlier_message_is_edited_and_the_old_branch_stays(desk: Desk, way: str) -> None:
    desk.has("1", "2", "3")
    async with desk.open() as chat:
        await chat.ask("one")
        await chat.ask("two")
        if way == "e":
            await chat.press("alt+up", "up", "up", "up", "e")
        else:
            await chat.send(way)
        if way != "/edit 1 three":
            await chat.until(lambda: chat.typed == "one")
            await chat.press("ctrl+u")
            await chat.type("three", "enter")
        await chat.until(lambda: chat.texts == ["three", "3"])
        await chat.rest()
        assert chat.facts[0] == version(2, 2)
        await chat.send("/previous 1")
        await chat.until(lambda: chat.texts == ["one", "1", "two", "2"])
        assert chat.facts[0] == version(1, 2)
        await chat.send("/next 1")
        await chat.until(lambda: chat.texts == ["three", "3"])


@played
async def test_escape_twice_edits_the_last_message_and_once_leaves_it(desk: Desk) -> None:
    model = desk.has("1", "2", "3")
    async with desk.open() as chat:
        await chat.ask("one")
        await chat.ask("two")
        await chat.press("escape", "escape")
        await chat.until(lambda: chat.typed == "two")
        await chat.press("escape")
        await chat.until(lambda: chat.typed == "")
        await chat.ask("four")
        assert chat.texts == ["one", "1", "two", "2", "four", "3"]
    assert len(model.asked) == 3


@played
async def test_a_reply_is_edited_without_asking_the_model(desk: Desk) -> None:
    model = desk.has("1")
    async with desk.open() as chat:
        await chat.ask("one")
        await chat.press("alt+up", "e")
        await chat.until(lambda: chat.typed == "1")
        await chat.type("st", "enter")
        await chat.until(lambda: chat.texts == ["one", "1st"])
    assert len(model.asked) == 1
    assert texts(desk.only()) == ["one", "1st"]


@played
async def test_messages_sent_while_the_model_writes_wait_in_order(desk: Desk) -> None:
    model = held(desk, WORDS, ("2",), ("3",))
    async with desk.open() as chat:
        await chat.send("one")
        await until_held(chat, model)
        await chat.send("two")
        await chat.send("three")
        await chat.until(lambda: chat.queue == "next: two · three")
        assert model.gate is not None
        model.gate.set()
        await chat.until(lambda: len(chat.texts) == 6)
        await chat.rest()
        assert chat.texts == ["one", "".join(WORDS), "two", "2", "three", "3"]
        assert chat.queue == ""


@played
async def test_undo_puts_the_text_back(desk: Desk) -> None:
    desk.has("1", "2")
    async with desk.open() as chat:
        await chat.ask("one")
        await chat.ask("two")
        await chat.send("/undo")
        await chat.until(lambda: chat.typed == "two" and chat.texts == ["one", "1"])
    assert texts(desk.only()) == ["one", "1"]


@played
async def test_undo_stops_what_is_written(desk: Desk) -> None:
    model = held(desk, WORDS, ("again",))
    async with desk.open() as chat:
        await chat.send("one")
        await until_held(chat, model)
        await chat.send("/undo")
        await chat.until(lambda: chat.typed == "one" and chat.texts == [])
        await chat.until(lambda: not chat.app.chat.is_writing)


@played
async def test_a_fork_is_a_copy_and_the_first_one_stays(desk: Desk) -> None:
    desk.has("1", "2")
    async with desk.open() as chat:
        await chat.ask("one")
        first = chat.conversation.id
        await chat.send("/fork")
        await chat.told("this is a copy")
        await chat.ask("two")
        assert chat.conversation.id != first
        assert chat.texts == ["one", "1", "two", "2"]
    copied, kept = desk.kept()
    assert kept.id == first and texts(kept) == ["one", "1"]
    assert texts(copied) == ["one", "1", "two", "2"]


@played
async def test_what_waits_for_the_model_to_load_is_stopped_as_well(desk: Desk) -> None:
    gate = threading.Event()
    desk.has(WORDS, load_gate=gate)
    async with desk.open(is_ready=False) as chat:
        await chat.until(lambda: "loading weights" in chat.status)
        await chat.send("never mind")
        await chat.press("escape")
        gate.set()
        await chat.until(lambda: "◌" not in chat.status)
        await chat.rest()
        assert chat.texts == ["never mind", ""] and "stopped" in chat.facts[-1]


@played
async def test_a_reply_cut_at_its_length_says_so_and_goes_on(desk: Desk) -> None:
    desk.has(WORDS, WORDS[2:])
    async with desk.open() as chat:
        await chat.send("/set max_tokens=2")
        await chat.ask("count")
        assert chat.texts[-1] == "one two " and "cut at its length" in chat.facts[-1]
        await chat.send("/set max_tokens=50")
        await chat.send("/continue")
        await chat.until(lambda: chat.texts[-1] == "".join(WORDS))
