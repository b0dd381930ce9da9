"""Models: switched, compared, followed."""

import json
import threading
from collections.abc import Iterator

import pytest

from tests.cli.tui.desk import Desk
from tests.cli.tui.harness import played, version
from tests.scripted import ScriptedModel
from tissu_cli.tui import reports
from tissu_core.errors import InputError, OutOfMemoryError
from tissu_core.events.replies import LoadEvent
from tissu_core.events.shared import Noticed

WORDS = ("one ", "two ", "three ", "four ", "five")


@played
async def test_another_model_answers_from_here_on(desk: Desk) -> None:
    first = desk.has("from the first")
    second = desk.has("from the second", name="tiny", step=1200)
    async with desk.open() as chat:
        await chat.ask("one")
        await chat.send("/model tiny")
        await chat.until(lambda: chat.top.startswith("tissu tiny step 1,200 ·"))
        await chat.ask("two")
        assert chat.texts == ["one", "from the first", "two", "from the second"]
        assert chat.facts[1].startswith("scripted") and chat.facts[3].startswith("tiny")
    assert first.is_closed and len(second.asked[0].messages) == 3
    kept = desk.only()
    assert kept.model == "tiny" and kept.path()[-1].model == "tiny"


@played
async def test_a_model_is_chosen_from_a_list(desk: Desk) -> None:
    desk.has()
    desk.has(name="tiny")
    desk.has(name="large")
    async with desk.open() as chat:
        await chat.send("/model")
        await chat.opened("models")
        assert chat.options == ["scripted", "tiny", "large"]
        await chat.type("lrg")
        await chat.until(lambda: chat.options == ["large"])
        await chat.press("enter")
        await chat.until(lambda: chat.top.startswith("tissu large"))


BROKEN = InputError("its weights are damaged", hint="models verify")


@played
async def test_a_model_that_cannot_be_loaded_says_so_and_the_one_before_stays(desk: Desk) -> None:
    first = desk.has("1", "2")
    broken = desk.has(name="broken", load_error=BROKEN)
    async with desk.open() as chat:
        await chat.ask("one")
        await chat.send("/model broken")
        await chat.told("its weights are damaged\nmodels verify")
        await chat.told("this conversation goes on with scripted")
        assert "✗" not in chat.status and chat.top.startswith("tissu scripted")
        await chat.ask("two")
        assert chat.texts == ["one", "1", "two", "2"]
        assert broken.is_closed and not first.is_closed and first.num_loads == 1
    assert desk.only().model == ""


@played
async def test_a_name_of_no_model_is_refused_before_anything_is_let_go(desk: Desk) -> None:
    first = desk.has("1", "2")
    async with desk.open() as chat:
        await chat.ask("one")
        for command in ("/model nobody", "/compare nobody"):
            await chat.send(command)
            await chat.told("there is no model 'nobody'\ntissu models list")
            chat.app.clear_notifications()
        assert "◌" not in chat.status and chat.app.chat.talk.model is first
        await chat.ask("two")
        assert chat.texts == ["one", "1", "two", "2"] and not chat.is_over


@played
async def test_a_message_that_waits_for_such_a_model_is_answered_by_the_one_before(
    desk: Desk,
) -> None:
    desk.has("1", "2")
    gate = threading.Event()
    desk.has(name="broken", load_error=BROKEN, load_gate=gate)
    async with desk.open() as chat:
        await chat.ask("one")
        await chat.send("/model broken")
        await chat.until(lambda: "50%" in chat.status)
        await chat.send("two")
        gate.set()
        await chat.rest()
        assert chat.texts == ["one", "1", "two", "2"]


@played
async def test_another_model_is_asked_for_while_such_a_model_loads(desk: Desk) -> None:
    first = desk.has("1")
    gate = threading.Event()
    desk.has(name="broken", load_error=BROKEN, load_gate=gate)
    desk.has("2", name="tiny")
    async with desk.open() as chat:
        await chat.ask("one")
        await chat.send("/model broken")
        await chat.until(lambda: "50%" in chat.status)
        await chat.send("/model tiny")
        gate.set()
        await chat.ask("two")
        assert chat.texts == ["one", "1", "two", "2"] and chat.top.startswith("tissu tiny")
        assert first.is_closed
    assert desk.only().model == "tiny"


@pytest.mark.parametrize("fits", [True, False])
@played
async def test_where_memory_is_too_small_for_two_models_the_one_before_makes_room(
    desk: Desk, fits: bool
) -> None:
    first = desk.has("1", "2")
    full = OutOfMemoryError("out of memory: 9 GB are needed", hint="a smaller model")

    class Large(ScriptedModel):
        def load(self) -> Iterator[LoadEvent]:
            self.load_error = None if fits and first.is_closed else full
            return super().load()

    desk.models["large"] = Large([["2"]], name="large")
    async with desk.open() as chat:
        await chat.ask("one")
        await chat.send("/model large")
        if not fits:
            await chat.told("this conversation goes on with scripted")
        await chat.ask("two")
        assert chat.texts == ["one", "1", "two", "2"]
        assert chat.top.startswith("tissu large" if fits else "tissu scripted")
    assert first.num_loads == (1 if fits else 2)


@played
async def test_without_a_model_before_there_is_none_until_another_is_named(desk: Desk) -> None:
    first = desk.has("never", load_error=BROKEN)
    desk.has(name="broken", load_error=BROKEN)
    desk.has("1", name="tiny")
    async with desk.open() as chat:
        await chat.until(lambda: "✗ no model" in chat.status)
        await chat.send("/model broken")
        await chat.until(lambda: first.is_closed and "✗ no model" in chat.status)
        await chat.send("/model tiny")
        await chat.until(lambda: chat.top.startswith("tissu tiny"))
        await chat.ask("one")
        assert chat.texts == ["one", "1"]


@played
async def test_a_conversation_is_resumed_with_its_model(desk: Desk) -> None:
    desk.has("1", "3")
    desk.has("2", name="tiny")
    async with desk.open() as chat:
        await chat.send("/model tiny")
        await chat.until(lambda: chat.top.startswith("tissu tiny"))
        await chat.ask("small")
        await chat.send("/new")
        await chat.until(lambda: chat.texts == [])
        await chat.send("/model scripted")
        await chat.until(lambda: chat.top.startswith("tissu scripted"))
        await chat.ask("big")
        await chat.send("/resume small")
        await chat.until(lambda: chat.top.startswith("tissu tiny") and "◌" not in chat.status)
        assert chat.texts == ["small", "2"]


@played
async def test_notices_of_a_model_and_what_a_base_model_is_are_told(desk: Desk) -> None:
    desk.has("1", has_template=False, notices=[Noticed(level="warning", text="it is old")])
    async with desk.open() as chat:
        await chat.told("a base model: it continues your text")


@played
async def test_two_models_are_compared_and_the_better_makes_a_preference(desk: Desk) -> None:
    first = desk.has("the left one")
    second = desk.has("the right one", name="tiny")
    async with desk.open(size=(100, 30)) as chat:
        await chat.ask("which?")
        await chat.send("/compare tiny")
        await chat.opened("the right one")
        assert any("the left one" in line and "the right one" in line for line in chat.lines())
        await chat.until(lambda: chat.shows("tiny · 3 tokens"))
        await chat.press("2")
        await chat.until(lambda: chat.shows("· + better"))
        await chat.back()
        assert chat.texts == ["which?", "the left one"] and chat.facts[1].startswith(version(1, 2))
        await chat.send("/export prefs pairs.jsonl")
        await chat.told("written: pairs.jsonl")
    assert first.asked[0].settings.seed == second.asked[0].settings.seed
    assert first.asked[0].messages == second.asked[0].messages
    pair = json.loads((desk.folder / "pairs.jsonl").read_text())
    assert pair == {
        "messages": [{"role": "user", "content": "which?"}],
        "chosen": "the right one",
        "rejected": "the left one",
    }


@played
async def test_a_comparison_is_left_while_it_is_written(desk: Desk) -> None:
    desk.has("left")
    second = desk.has(WORDS, name="tiny", gate=threading.Event(), gate_at=2)
    desk.has(name="broken", load_error=InputError("it is damaged", hint="models verify"))
    async with desk.open() as chat:
        await chat.ask("which?")
        await chat.send("/compare tiny")
        await chat.until(second.at_gate.is_set)
        await chat.back()
        assert second.is_closed and chat.texts == ["which?", "left"]
        await chat.send("/compare broken")
        await chat.opened("broken: it is damaged")
        await chat.back()
        await chat.send("/compare")
        await chat.told("a model is missing")


@played
async def test_a_run_that_is_followed_is_loaded_again_between_replies(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reports, "_FOLLOW_SECONDS", 0.02)
    newest = ["step 1"]
    desk.newest = lambda: newest[0]
    model = desk.has(WORDS, gate=threading.Event(), gate_at=2, step=1)
    async with desk.open() as chat:
        await chat.send("go")
        await chat.until(model.at_gate.is_set)
        newest[0], model.step = "step 2", 2
        await chat.pilot.pause(0.1)
        assert model.num_loads == 1 and model.at_gate.is_set()
        assert model.gate is not None
        model.gate.set()
        await chat.rest()
        await chat.until(lambda: model.num_loads == 2 and "step 2" in chat.top)
        assert chat.texts == ["go", "".join(WORDS)]
        newest[0], model.load_error = "step 3", InputError("the directory is gone", hint="runs")
        await chat.told("the directory is gone")
        await chat.until(lambda: "✗ no model" in chat.status)
        assert chat.texts == ["go", "".join(WORDS)]
