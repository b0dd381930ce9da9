"""Decoding settings of a conversation: typed, or changed in the panel."""

from textual.widgets import Input

from tests.cli.tui.desk import Desk
from tests.cli.tui.harness import Chat, played


async def put(chat: Chat, name: str, value: str) -> None:
    """Write a value into a field of the panel."""
    field = chat.screen.query_one(f"#set-{name}", Input)
    field.focus()
    await chat.pilot.pause(0)
    await chat.fill(value)


@played
async def test_a_setting_is_set_shown_and_taken_back(desk: Desk) -> None:
    model = desk.has("1", "2", "3")
    async with desk.open() as chat:
        await chat.send("/set temperature=0.25")
        await chat.told("temperature = 0.25")
        await chat.until(lambda: "T 0.25" in chat.status)
        await chat.send("/set top-k 7")
        await chat.told("top_k = 7")
        await chat.ask("go")
        await chat.send("/set temperature")
        await chat.told("temperature = 0.8")
        await chat.send("/seed 5")
        await chat.told("seed = 5")
        await chat.ask("go")
        await chat.send("/seed")
        await chat.told("seed = None")
        await chat.send("/set")
        await chat.opened("max_tokens")
        await chat.back()
    first, second = (asked.settings for asked in model.asked)
    assert (first.temperature, first.top_k) == (0.25, 7)
    assert (second.temperature, second.seed) == (0.8, 5)


@played
async def test_a_wrong_value_is_told_and_changes_nothing(desk: Desk) -> None:
    desk.has("1")
    async with desk.open() as chat:
        for line, told in [
            ("/set temperature=hot", "temperature"),
            ("/set top_p=0", "--top-p is 0"),
            ("/set tempreature=1", "temperature"),
            ("/seed -1", "seed"),
            ("/set min_tokens=999", "--min-tokens"),
        ]:
            await chat.send(line)
            await chat.told(told)
            chat.app.clear_notifications()
        assert chat.conversation.settings == {}


@played
async def test_the_panel_changes_settings_at_once(desk: Desk) -> None:
    model = desk.has("1", "2")
    async with desk.open(size=(120, 40)) as chat:
        await chat.press("f2")
        await chat.opened("settings of this conversation")
        await put(chat, "temperature", "0.5")
        assert chat.conversation.settings == {"temperature": 0.5}
        await put(chat, "top_p", "2")
        await chat.until(lambda: chat.shows("top_p"))
        field = chat.screen.query_one("#set-top_p", Input)
        assert field.has_class("-wrong") and chat.conversation.settings == {"temperature": 0.5}
        await put(chat, "greedy", "true")
        assert chat.conversation.settings == {"temperature": 0.5, "greedy": True}
        await chat.press("ctrl+r")
        assert chat.conversation.settings == {"temperature": 0.5}
        await chat.press("f2")
        await chat.until(lambda: not chat.is_over and "T 0.5" in chat.status)
        await chat.ask("go")
    assert model.asked[0].settings.temperature == 0.5
    assert desk.only().settings == {"temperature": 0.5}


@played
async def test_settings_and_system_prompt_belong_to_a_conversation(desk: Desk) -> None:
    model = desk.has("1", "2", "3", "4")
    async with desk.open() as chat:
        await chat.send("/set top_k=3")
        await chat.send("/system Be brief.")
        await chat.told("system prompt: Be brief.")
        await chat.ask("mine")
        await chat.send("/new")
        await chat.until(lambda: chat.texts == [])
        await chat.send("/set top_k=9")
        await chat.send("/system -")
        await chat.told("no system prompt")
        await chat.ask("other")
        await chat.send("/resume mine")
        await chat.until(lambda: chat.texts == ["mine", "1"])
        await chat.ask("again")
        await chat.send("/system")
        await chat.told("system prompt: Be brief.")
    roles = [[message.role for message in asked.messages] for asked in model.asked]
    assert roles == [["system", "user"], ["user"], ["system", "user", "assistant", "user"]]
    assert [asked.settings.top_k for asked in model.asked] == [3, 9, 3]
