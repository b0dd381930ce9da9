"""Typing, sending, and what stands on the screen meanwhile."""

import threading

import pytest

from tests.cli.tui.desk import Desk, keys
from tests.cli.tui.harness import played
from tissu_cli.tui.keys import keymap
from tissu_core.errors import ConfigError


@played
async def test_a_message_is_sent_with_enter_and_answered(desk: Desk) -> None:
    model = desk.has("It is four.")
    async with desk.open() as chat:
        await chat.type("What is 2 + 2?")
        await chat.press("enter")
        await chat.until(lambda: chat.texts == ["What is 2 + 2?", "It is four."])
        assert chat.typed == ""
        assert [message.content for message in model.asked[0].messages] == ["What is 2 + 2?"]


@played
async def test_what_is_typed_while_the_model_loads_is_kept_and_then_answered(desk: Desk) -> None:
    gate = threading.Event()
    desk.has("Hello.", load_gate=gate)
    async with desk.open(is_ready=False) as chat:
        await chat.type("hi", "enter")
        await chat.type("and more")
        await chat.until(lambda: "loading weights" in chat.status and "50%" in chat.status)
        await chat.until(lambda: chat.texts[:1] == ["hi"] and chat.typed == "and more")
        gate.set()
        await chat.until(lambda: chat.texts == ["hi", "Hello."])
        assert chat.typed == "and more"


@played
async def test_keys_typed_before_the_first_picture_are_kept(desk: Desk) -> None:
    desk.has("Hello.")
    async with desk.open(is_ready=False) as chat:
        await chat.type("early")
        await chat.until(lambda: chat.app.chat.is_complete and chat.typed == "early")


@played
async def test_keys_typed_fast_around_enter_keep_their_order(desk: Desk) -> None:
    gate = threading.Event()
    model = desk.has("1", "2", "3", gate=gate)
    async with desk.open() as chat:
        for text in ("one", "two", "three"):
            await chat.type(text, "enter")
        await chat.type("four")
        await chat.until(lambda: chat.typed == "four")
        gate.set()
        await chat.until(lambda: chat.texts == ["one", "1", "two", "2", "three", "3"])
    said = [asked.messages[-1].content for asked in model.asked]
    assert said == ["one", "two", "three"]


@played
async def test_keys_typed_right_after_a_chosen_command_are_not_lost(desk: Desk) -> None:
    desk.has()
    async with desk.open() as chat:
        await chat.type("/ra")
        await chat.until(lambda: "/raw" in chat.suggested)
        await chat.type("\rnext")
        await chat.until(lambda: chat.typed == "next" and chat.app.chat.transcript.is_raw)


@pytest.mark.parametrize("key", ["ctrl+j", "shift+enter"])
@played
async def test_a_new_line_begins_with(desk: Desk, key: str) -> None:
    model = desk.has("yes")
    async with desk.open() as chat:
        await chat.type("one")
        await chat.press(key)
        await chat.type("two", "enter")
        await chat.until(lambda: chat.texts == ["one\ntwo", "yes"])
    assert model.asked[0].messages[-1].content == "one\ntwo"


@played
async def test_nothing_is_sent_of_spaces(desk: Desk) -> None:
    model = desk.has("yes")
    async with desk.open() as chat:
        await chat.type("  \n ", "enter")
        await chat.type("x", "enter")
        await chat.until(lambda: len(chat.texts) == 2)
    assert len(model.asked) == 1


@played
async def test_the_preset_for_input_methods_sends_with_ctrl_j(desk: Desk) -> None:
    desk.has("yes")
    desk.chat = keys(preset="enter-newline")
    async with desk.open() as chat:
        await chat.type("one", "enter")
        await chat.type("two")
        await chat.until(lambda: chat.typed == "one\ntwo")
        await chat.press("ctrl+j")
        await chat.until(lambda: chat.texts == ["one\ntwo", "yes"])


@played
async def test_the_vim_preset_moves_between_turns_with_letters(desk: Desk) -> None:
    desk.has("yes")
    desk.chat = keys(preset="vim")
    async with desk.open() as chat:
        await chat.ask("one")
        views = chat.app.chat.transcript.views
        await chat.press("alt+k")
        await chat.until(lambda: views[1].has_focus)
        await chat.press("k")
        await chat.until(lambda: views[0].has_focus)
        await chat.press("j", "j")
        await chat.until(lambda: chat.app.chat.prompt.has_focus)


@played
async def test_a_key_is_bound_to_something_else(desk: Desk) -> None:
    desk.has("yes")
    desk.chat = keys("send=ctrl+s", "sessions=f6", "newline=enter")
    async with desk.open() as chat:
        await chat.type("one", "enter")
        await chat.until(lambda: chat.typed == "one\n")
        await chat.press("ctrl+s")
        await chat.until(lambda: chat.texts == ["one\n", "yes"])
        await chat.press("f6")
        await chat.opened("conversations")


@pytest.mark.parametrize(
    ("change", "told"),
    [("sned=ctrl+s", "'sned'"), ("send=", "'send' no key"), ("", "''"), ("bogus", "'bogus'")],
)
def test_a_wrong_key_is_named(change: str, told: str) -> None:
    with pytest.raises(ConfigError, match=told) as caught:
        keymap("default", [change])
    assert caught.value.field == "chat.keys" and caught.value.hint


@played
async def test_prompts_sent_before_come_back_with_up_and_down(desk: Desk) -> None:
    desk.has("1", "2")
    async with desk.open() as chat:
        await chat.ask("first")
        await chat.ask("second")
        await chat.type("unsent")
        for key, text in [
            ("up", "second"),
            ("up", "first"),
            ("up", "first"),
            ("down", "second"),
            ("down", "unsent"),
        ]:
            await chat.press(key)
            await chat.until(lambda text=text: chat.typed == text)


@played
async def test_prompts_are_searched_with_ctrl_r(desk: Desk) -> None:
    desk.has("1", "2")
    async with desk.open() as chat:
        await chat.ask("about cats")
        await chat.ask("about dogs")
        await chat.press("ctrl+r")
        await chat.opened("what was sent")
        assert chat.options == ["about dogs", "about cats"]
        await chat.type("cat")
        await chat.until(lambda: chat.options == ["about cats"])
        await chat.press("enter")
        await chat.until(lambda: chat.typed == "about cats")


@played
async def test_letters_typed_while_a_turn_has_the_focus_go_to_the_prompt(desk: Desk) -> None:
    desk.has("yes")
    async with desk.open() as chat:
        await chat.ask("one")
        await chat.press("alt+up")
        await chat.until(lambda: chat.app.chat.transcript.focused_view)
        await chat.press("Z")
        await chat.type("ebra")
        await chat.until(lambda: chat.typed == "Zebra")


@played
async def test_a_megabyte_that_is_pasted_is_one_word_and_is_sent_whole(desk: Desk) -> None:
    model = desk.has("long")
    pasted = "0123456789abcde\n" * 65536
    async with desk.open() as chat:
        await chat.type("read ")
        await chat.paste(pasted)
        await chat.until(lambda: chat.typed.startswith("read [pasted 1: 1.05 MB, 65,537 lines]"))
        await chat.type(" now", "enter")
        await chat.until(lambda: len(chat.texts) == 2 and chat.texts[1] == "long")
        assert chat.shows("1,048,585 characters in all")
    assert model.asked[0].messages[-1].content == f"read {pasted} now"


@played
async def test_the_editor_edits_what_was_typed(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.has("yes")
    monkeypatch.delenv("VISUAL", raising=False)
    monkeypatch.delenv("EDITOR", raising=False)
    async with desk.open() as chat:
        await chat.press("ctrl+g")
        await chat.told("$EDITOR")
