"""Models that fail, and conversations too long for them."""

from tests.cli.tui.desk import Desk
from tests.cli.tui.harness import played, version
from tissu_core.errors import InputError, OutOfMemoryError, ResourceError

WORDS = ("one ", "two ", "three ", "four ", "five")


@played
async def test_out_of_memory_offers_a_smaller_context(desk: Desk) -> None:
    full = OutOfMemoryError("out of memory: 9 GB are needed", hint="--context 512")
    model = desk.has(WORDS, ("fits",), ("again",), reply_error=full, error_at=2)
    async with desk.open() as chat:
        await chat.send("go")
        await chat.opened("Go on with a context of 500 tokens?")
        assert chat.shows("out of memory: 9 GB are needed")
        model.reply_error = None
        await chat.press("y")
        await chat.until(lambda: chat.texts == ["go", "fits"])
        await chat.rest()
        assert chat.conversation.settings["context_tokens"] == 500
        assert chat.facts[-1].startswith(version(2, 2))
        await chat.press("alt+up", "left")
        await chat.until(lambda: chat.texts == ["go", "one two "])
        assert "broken off" in chat.facts[-1]
    assert model.asked[1].settings.context_tokens == 500


@played
async def test_a_smaller_context_may_be_refused(desk: Desk) -> None:
    model = desk.has(WORDS, reply_error=OutOfMemoryError("out of memory", hint="less"), error_at=0)
    async with desk.open() as chat:
        await chat.send("go")
        await chat.opened("Go on with a context of")
        await chat.press("n")
        await chat.until(lambda: not chat.is_over)
        assert len(model.asked) == 1 and chat.conversation.settings == {}


@played
async def test_a_full_disk_is_told_and_offers_no_smaller_context(desk: Desk) -> None:
    full = ResourceError("cannot write: no space is left", hint="free the disk")
    desk.has(WORDS, reply_error=full, error_at=0)
    async with desk.open() as chat:
        await chat.ask("go")
        await chat.told("free the disk")
        assert not chat.is_over


@played
async def test_an_error_in_mid_reply_keeps_what_was_said(desk: Desk) -> None:
    gone = InputError("the model's process ended", hint="/log")
    model = desk.has(WORDS, WORDS[3:], reply_error=gone, error_at=3)
    async with desk.open() as chat:
        await chat.ask("count")
        await chat.told("the model's process ended\n/log")
        assert chat.texts == ["count", "one two three "] and "broken off" in chat.facts[-1]
        model.reply_error = None
        await chat.send("/continue")
        await chat.until(lambda: chat.texts == ["count", "".join(WORDS)])
    assert [turn.state for turn in desk.only().path()] == ["done", "done"]


@played
async def test_what_will_be_left_out_is_told_before_and_what_was_after(desk: Desk) -> None:
    desk.has("a b c d e f g h", "short", context_tokens=32)
    async with desk.open(size=(160, 24)) as chat:
        await chat.send("/set max_tokens=8")
        await chat.until(lambda: "0%/32" in chat.status)
        await chat.ask("one two three four five six seven eight")
        await chat.until(lambda: "50%/32" in chat.status)
        assert "left out" not in chat.status
        await chat.type("nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen")
        await chat.until(lambda: "oldest message will be left out" in chat.status)
        spans = chat.app.chat.query_one("#status-line").content.spans
        assert any("$text-warning" in str(span.style) for span in spans)
        await chat.press("enter")
        await chat.told("the context is full")
