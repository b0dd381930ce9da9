"""Whatever a model, a file name or a title holds is text on this screen, and nothing else."""

import re

from tests.cli.tui.desk import Desk, with_texts
from tests.cli.tui.harness import Chat, played
from tests.scripted import ScriptedModel
from tissu_core.errors import InputError
from tissu_core.events.shared import Noticed

CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
EVIL = "\x1b[2J\x9b31m\x07\u202e\x00\r\x7f\u2066 [@click=app.exit]leave[/] [/INST] [b]x[/b]"
MARKUP = "[@click=app.exit]leave[/] [/INST] [b]x[/b]"


def is_clean(chat: Chat) -> bool:
    """Whether every widget cleaned its own text: U+FFFD is the last net's."""
    text = "".join(chat.lines())
    return not CONTROL.search(text) and "\ufffd" not in text


@played
async def test_no_control_character_of_any_text_is_drawn(desk: Desk) -> None:
    desk.has(
        [EVIL[:3], EVIL[3:9], EVIL[9:], f"\n\n- {EVIL}\n\n|a|b|\n|-|-|\n|{MARKUP}|\x1b|\n"],
        name=f"m{EVIL}",
        notices=[Noticed(level="warning", text=f"noticed {EVIL}")],
    )
    desk.models["scripted"] = desk.models[f"m{EVIL}"]
    conversation = with_texts(f"asked {EVIL}", f"said {EVIL}\n```\x1b]0;x\x07\n{EVIL}\n```")
    conversation.title, conversation.system = f"title {EVIL}", f"system {EVIL}"
    async with desk.open(conversation, size=(200, 50)) as chat:
        await chat.until(lambda: chat.shows("title ␛[2J") and chat.shows("m␛[2J"))
        await chat.paste(f"more {EVIL}")
        await chat.press("enter")
        await chat.until(lambda: len(chat.texts) == 4)
        await chat.rest()
        assert is_clean(chat)
        assert sum(MARKUP in line for line in chat.lines()) >= 4
        for line, shown in [
            ("/prompt", "system ␛[2J"),
            ("/stats", "/models/m␛[2J"),
            ("/sessions", "title ␛[2J"),
            ("/model", "m␛[2J"),
            ("/compare scripted", "more ␛[2J"),
            ("/system", "title ␛[2J"),
            ("/raw", "title ␛[2J"),
            ("/tokens", "token 1 of"),
        ]:
            await chat.send(line)
            await chat.until(lambda shown=shown: chat.shows(shown), line)
            assert is_clean(chat), line
            if chat.is_over:
                await chat.back()
        await chat.press("escape", "ctrl+p")
        await chat.until(lambda: chat.is_over and chat.shows("/help"))
        await chat.fill("title")
        await chat.until(lambda: chat.shows("go on: title ␛[2J"))
        assert is_clean(chat)
        await chat.back()
        chat.app.chat.attempt(lambda: fail(EVIL))
        await chat.told("failed ␛[2J")
        assert is_clean(chat)
    assert desk.only().path()[0].text == f"asked {EVIL}"


def fail(text: str) -> None:
    raise InputError(f"failed {text}", hint=f"try {text}")


@played
async def test_what_looks_like_markup_does_nothing_when_it_is_clicked(desk: Desk) -> None:
    desk.has([MARKUP])
    async with desk.open() as chat:
        await chat.ask(MARKUP)
        for view in chat.app.chat.transcript.views:
            await chat.pilot.click(view.body, offset=(3, 0))
            await chat.pilot.click(view.body, offset=(24, 0))
        assert sum(MARKUP in line for line in chat.lines()) == 2
        assert not chat.app._exit


@played
async def test_hostile_text_is_pasted_recalled_and_sent_as_it_is(desk: Desk) -> None:
    model = desk.has("1", "2")
    async with desk.open() as chat:
        await chat.paste("red \x1b[31m text")
        await chat.until(lambda: chat.typed.startswith("[pasted 1"))
        await chat.press("enter")
        await chat.rest()
        await chat.press("up")
        await chat.until(lambda: chat.typed.startswith("[pasted 1"))
        assert not CONTROL.search("".join(chat.lines()))
        await chat.press("enter")
        await chat.rest()
    assert [asked.messages[-1].content for asked in model.asked] == ["red \x1b[31m text"] * 2


@played
async def test_a_reply_of_a_megabyte_without_a_newline_is_drawn(desk: Desk) -> None:
    desk.has(["long 漢字 and \x1b7\x9c without an end " * 25] * 1300)
    async with desk.open() as chat:
        await chat.send("/set max_tokens=100000")
        await chat.ask("go")
        assert len(chat.texts[1]) > 900_000
        assert not CONTROL.search("".join(chat.lines()))


@played
async def test_a_model_whose_error_is_hostile_is_told(desk: Desk) -> None:
    wrong = InputError(f"no {EVIL}", hint=EVIL)
    desk.models["scripted"] = ScriptedModel(name=EVIL, load_error=wrong)
    async with desk.open() as chat:
        await chat.told("no ␛[2J")
        assert is_clean(chat)
