"""Commands that are typed behind a slash: each of them, and how they are suggested."""

import inspect
import json
from collections.abc import Awaitable, Callable
from contextlib import closing

import pytest

from tests.cli.tui import test_conversations, test_models, test_replies, test_settings
from tests.cli.tui.desk import Desk
from tests.cli.tui.harness import Chat, played
from tissu_cli.sessions.history import History
from tissu_cli.sessions.slash import COMMANDS

CODE = "Look:\n\n```py\nprint(1)\n```\n\nThat is all."

Trial = Callable[[Chat, Desk], Awaitable[None]]
TRIALS: dict[str, Trial] = {}


def trial(test: Trial) -> Trial:
    """What is tried on one screen where ``go`` was answered with some code."""
    TRIALS[test.__name__] = test
    return test


@trial
async def help(chat: Chat, desk: Desk) -> None:
    for line in ("/help", "/?"):
        await chat.send(line)
        await chat.opened("/new")
        await chat.back()


@trial
async def copy(chat: Chat, desk: Desk) -> None:
    for line, text in [("/copy", CODE), ("/copy code", "print(1)")]:
        await chat.send(line)
        await chat.until(lambda text=text: desk.copied[-1:] == [text])
        await chat.told("copied by a test")
    await chat.send("/copy all")
    await chat.until(lambda: "## You\n\ngo" in desk.copied[-1])
    await chat.send("/copy that")
    await chat.told("there is no /copy that")


@trial
async def export(chat: Chat, desk: Desk) -> None:
    for kind in ("md", "json", "jsonl", "svg"):
        await chat.send(f"/export {kind} out.{kind}")
        await chat.told(f"written: out.{kind}")
        assert "print" in (desk.folder / f"out.{kind}").read_text()
    messages = json.loads((desk.folder / "out.jsonl").read_text())["messages"]
    assert messages == [
        {"role": "user", "content": "go"},
        {"role": "assistant", "content": CODE},
    ]
    await chat.send("/export md out.md")
    await chat.told("out.md is there already")
    await chat.send("/export pdf")
    await chat.told("pdf")
    await chat.send("/export prefs")
    await chat.told("no two replies")


@trial
async def good(chat: Chat, desk: Desk) -> None:
    await chat.send("/good")
    await chat.until(lambda: "+ good" in chat.facts[-1])
    await chat.send("/good")
    await chat.until(lambda: "good" not in chat.facts[-1])


@trial
async def bad(chat: Chat, desk: Desk) -> None:
    await chat.send("/bad")
    await chat.until(lambda: "- bad" in chat.facts[-1])
    await chat.press("alt+up", "minus")
    await chat.until(lambda: "bad" not in chat.facts[-1])
    await chat.press("plus", "escape")
    await chat.until(lambda: "+ good" in chat.facts[-1])


@trial
async def prompt(chat: Chat, desk: Desk) -> None:
    await chat.send("/prompt")
    await chat.opened("<|user|>go<|assistant|>")
    assert chat.shows("3 tokens")
    await chat.back()


@trial
async def tokens(chat: Chat, desk: Desk) -> None:
    for line in ("/tokens", "/logprobs"):
        await chat.send(line)
        await chat.until(lambda: chat.shows("token 1 of"))
        await chat.press("escape")
        await chat.until(lambda: not chat.shows("token 1 of"))


@trial
async def stats(chat: Chat, desk: Desk) -> None:
    await chat.send("/stats")
    await chat.opened("20.0 tokens/s")
    assert chat.shows("1,234,567") and chat.shows("/models/scripted")
    await chat.back()


@trial
async def raw(chat: Chat, desk: Desk) -> None:
    await chat.send("/raw")
    await chat.until(lambda: chat.shows("```py"))
    await chat.send("/raw")
    await chat.until(lambda: not chat.shows("```py"))


@trial
async def theme(chat: Chat, desk: Desk) -> None:
    await chat.send("/theme nord")
    await chat.until(lambda: chat.app.theme == "nord")
    with closing(History.open(desk.file)) as history:
        assert history.get("theme") == "nord"
    await chat.send("/theme nrod")
    await chat.told("there is no theme 'nrod'")
    await chat.send("/theme")
    await chat.until(lambda: chat.is_over)
    await chat.back()


@trial
async def keys(chat: Chat, desk: Desk) -> None:
    await chat.send("/keys")
    await chat.opened("ctrl+c")
    assert chat.shows("Copy, stop, quit")
    await chat.back()


@trial
async def log(chat: Chat, desk: Desk) -> None:
    await chat.send("/log")
    await chat.opened("the model's log")
    await chat.back()


@trial
async def quit(chat: Chat, desk: Desk) -> None:
    await chat.send("/quit")
    await chat.until(lambda: chat.app._exit)


@played
async def test_commands_that_look_at_a_conversation(desk: Desk) -> None:
    desk.has([CODE])
    async with desk.open() as chat:
        await chat.ask("go")
        for do in TRIALS.values():
            await do(chat, desk)


def test_every_command_has_a_test() -> None:
    elsewhere = "".join(
        inspect.getsource(module)
        for module in (test_conversations, test_models, test_replies, test_settings)
    )
    untried = {each.name for each in COMMANDS if f"/{each.name}" not in elsewhere} - {*TRIALS}
    assert untried == set()


@played
async def test_commands_that_need_a_reply_say_so(desk: Desk) -> None:
    desk.has("yes")
    async with desk.open() as chat:
        for line in ("/continue", "/copy", "/good", "/tokens", "/compare scripted"):
            await chat.send(line)
            await chat.told("there is no reply yet")
            chat.app.clear_notifications()
        for line, told in [
            ("/retry", "nothing to answer yet"),
            ("/edit", "no message to edit yet"),
            ("/undo", "nothing to take back"),
            ("/next", "there is no turn yet"),
            ("/export jsonl", "no reply to learn from"),
        ]:
            await chat.send(line)
            await chat.told(told)


@played
async def test_an_unknown_command_names_the_nearest(desk: Desk) -> None:
    model = desk.has("yes")
    async with desk.open() as chat:
        await chat.send("/modle tiny")
        await chat.told("there is no /modle\n/model")
        await chat.send("/etc/hosts is a file")
        await chat.rest()
        assert chat.texts[0] == "/etc/hosts is a file"
    assert len(model.asked) == 1


@played
async def test_commands_are_suggested_while_one_types(desk: Desk) -> None:
    desk.has("yes")
    desk.has("yes", name="tiny")
    desk.has("yes", name="tiny-2")
    async with desk.open() as chat:
        await chat.type("/cp")
        await chat.until(lambda: chat.suggested == ["/copy", "/compare"])
        assert chat.shows("/copy [code|all]") and chat.shows("answered by another model")
        await chat.press("down", "tab")
        await chat.until(lambda: chat.typed == "/compare ")
        await chat.until(lambda: chat.suggested == [f"/compare {name}" for name in desk.models])
        await chat.type("ti")
        await chat.until(lambda: chat.suggested == ["/compare tiny", "/compare tiny-2"])
        await chat.press("down", "down", "up", "up", "down", "tab")
        await chat.until(lambda: chat.typed == "/compare tiny-2" and chat.suggested == [])
        await chat.press("ctrl+u")
        await chat.type("/stats")
        await chat.until(lambda: chat.suggested[:1] == ["/stats"])
        await chat.press("escape")
        await chat.until(lambda: chat.suggested == [] and chat.typed == "/stats")
        await chat.press("ctrl+u")
        await chat.type("/sta")
        await chat.until(lambda: chat.suggested[:1] == ["/stats"])
        await chat.press("enter")
        await chat.opened("figures")


@played
async def test_a_name_that_is_typed_whole_is_not_replaced_by_a_longer_one(desk: Desk) -> None:
    desk.has("yes")
    desk.has("yes", name="tiny")
    desk.has("yes", name="tiny-2")
    async with desk.open() as chat:
        await chat.type("/model tiny")
        await chat.until(lambda: chat.typed == "/model tiny" and chat.suggested == [])
        await chat.press("enter")
        await chat.until(lambda: chat.top.startswith("tissu tiny ·"))


@pytest.mark.parametrize(("typed", "first"), [("/set temp", "/set temperature="), ("/q", "/quit")])
@played
async def test_a_suggestion_is_taken(desk: Desk, typed: str, first: str) -> None:
    desk.has()
    async with desk.open() as chat:
        await chat.type(typed)
        await chat.until(lambda: chat.suggested[:1] == [first])
        await chat.press("tab")
        await chat.until(lambda: chat.typed == first)


@played
async def test_the_palette_lists_commands_models_and_conversations_as_text(desk: Desk) -> None:
    desk.has("yes")
    desk.has("yes", name="[b]tiny[/b]")
    desk.hold("[@click=app.quit]cats[/]\x1b[31m", "they purr")
    async with desk.open() as chat:
        await chat.press("ctrl+p")
        await chat.until(lambda: chat.is_over and chat.shows("/help"))
        for words, shown in [
            ("cats", "go on: [@click=app.quit]cats[/]␛[31m"),
            ("talk tiny", "talk to: [b]tiny[/b]"),
            ("theme nord", "theme: nord"),
        ]:
            await chat.fill(words)
            await chat.until(lambda shown=shown: chat.shows(shown), shown)
        await chat.fill("cats")
        await chat.until(lambda: chat.shows("go on: ") and not chat.shows("theme: nord"))
        await chat.press("enter")
        await chat.until(lambda: chat.texts[1:] == ["they purr"])
        await chat.press("ctrl+p")
        await chat.until(lambda: chat.is_over and chat.shows("/help"))
        await chat.fill("rename")
        await chat.until(lambda: chat.shows("/rename TITLE") and not chat.shows("/help"))
        await chat.press("enter")
        await chat.until(lambda: chat.typed == "/rename ")


@played
async def test_f1_helps_where_one_is(desk: Desk) -> None:
    desk.has("yes")
    async with desk.open(size=(120, 40)) as chat:
        await chat.ask("go")
        await chat.press("f1")
        await chat.opened("Type a message and send it with Enter")
        await chat.back()
        await chat.press("alt+up", "f1")
        await chat.opened("A turn of the conversation")
        await chat.back()
