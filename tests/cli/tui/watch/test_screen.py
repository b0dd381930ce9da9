"""The watch screen as a person meets it."""

import asyncio
import json
import re
from pathlib import Path

import pytest

from tests.cli.tui.harness import played
from tests.cli.tui.watch.desk import Run, opened, step, story
from tests.core.runs.test_follow import FINISHED, PLANNED, resumed
from tissu_cli.tui.watch.leaving import Leaving
from tissu_core.events.shared import Noticed
from tissu_core.events.training import RequestTaken, RunFinished, SampleGenerated
from tissu_core.tracking.control import CONTROL_FILE
from tissu_core.tracking.event_log import EVENTS_FILE

CONTROL = re.compile(
    "[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)
EVIL = "\x1b[2J\x9b31m\x07\u202e\x00\r\x7f\u2066 [@click=app.exit]leave[/] [/INST] [b]x[/b]"


@played
async def test_all_that_a_run_says_is_drawn(tmp_path: Path) -> None:
    run = Run(tmp_path / "cloth", *story())
    async with opened(run.directory) as screen:
        await screen.shows(
            *("cloth", "running", "saved", "at step 400"),
            *("◆ 2.1000 bits per byte, best 2.1000", "learning rate", "you are here, 40%"),
            *("gradient norm", "clipped at 1", "tokens/s", "memory 500 MB"),
            *("sample  at step 400, marked: new since 300", "The weaver counted the 400 threads"),
            *("log", "step 400 saved", "40%", "5:00 left", "p Pause/resume"),
        )
        run.says(step(410), Noticed(level="warning", text="it is late"))
        await screen.shows("it is late", "step 410")


@played
async def test_nothing_new_is_nothing_drawn(tmp_path: Path) -> None:
    run = Run(tmp_path / "cloth", *story())
    async with opened(run.directory, clock=lambda: 0.0) as screen:
        await screen.shows("step 400")
        await asyncio.sleep(0.3)
        before = screen.app.picture.redraws
        await asyncio.sleep(0.6)
        assert screen.app.picture.redraws == before
        run.says(step(410))
        await screen.shows("step 410")
        assert screen.app.picture.redraws == before + 1


@played
async def test_many_reports_at_once_are_few_pictures(tmp_path: Path) -> None:
    run = Run(tmp_path / "cloth", *story())
    async with opened(run.directory) as screen:
        await screen.shows("step 400")
        before = screen.app.picture.redraws
        for number in range(401, 1000):
            run.says(step(number))
        run.says(step(1000, loss=1.25))
        await screen.shows("step 1,000")
        assert screen.app.picture.redraws - before < 30


@pytest.mark.parametrize(
    ("key", "asked"), [("p", "pause"), ("s", "sample"), ("k", "save"), ("e", "evaluate")]
)
@played
async def test_a_key_asks_the_run(tmp_path: Path, key: str, asked: str) -> None:
    run = Run(tmp_path / "cloth", *story())
    async with opened(run.directory) as screen:
        await screen.shows("step 400")
        await screen.press(key)
        await screen.shows(f"asked for: {asked}")
        assert run.control.poll() == [asked]


@played
async def test_a_paused_run_goes_on_by_the_same_key(tmp_path: Path) -> None:
    run = Run(tmp_path / "cloth", *story())
    async with opened(run.directory) as screen:
        run.says(RequestTaken(step=400, request="pause"))
        await screen.shows("cloth  paused")
        await screen.press("p")
        assert run.control.poll() == ["resume"]
        run.says(RequestTaken(step=400, request="resume"))
        await screen.shows("cloth  running")


@played
async def test_leaving_lets_the_run_go_on_unless_it_is_told(tmp_path: Path) -> None:
    run = Run(tmp_path / "cloth", *story())
    async with opened(run.directory, size=(80, 24)) as screen:
        await screen.shows("step 400")
        await screen.press("q")
        await screen.shows(
            "cloth is training", "d  leave", "s  stop after", "n  stop now", "cancel"
        )
        await screen.press("c")
        await screen.until(lambda: not isinstance(screen.app.screen, Leaving))
        await screen.press("q", "d")
        await screen.until(lambda: not screen.app.is_running)
    assert not (run.directory / CONTROL_FILE).exists()


@pytest.mark.parametrize(("keys", "asked"), [("s", "stop"), ("n", "stop now"), ("enter", None)])
@played
async def test_the_screen_stays_until_the_run_has_stopped(
    tmp_path: Path, keys: str, asked: str | None
) -> None:
    run = Run(tmp_path / "cloth", *story())
    async with opened(run.directory) as screen:
        await screen.shows("step 400")
        await screen.press("q", keys)
        if asked is None:  # the first choice is to leave it alone
            await screen.until(lambda: not screen.app.is_running)
            return
        await screen.shows("asked for: stop")
        assert run.control.poll() == [asked]
        assert screen.app.is_running
        run.says(RunFinished(**{**_facts(FINISHED), "stopped_early": True, "step": 400}))
        await screen.until(lambda: not screen.app.is_running)
        assert screen.app.runs[0].history.state == "stopped"


def _facts(event: RunFinished) -> dict[str, object]:
    return {name: getattr(event, name) for name in event.__slots__}


@played
async def test_a_run_that_nobody_trains_is_shown_as_that(tmp_path: Path) -> None:
    run = Run(tmp_path / "cloth", *story())
    async with opened(run.directory) as screen:
        await screen.shows("running")
        run.ends()
        await screen.shows("broken off")
        await screen.press("k")
        await screen.shows("nobody trains cloth")
        run.vanishes()
        await screen.shows("gone")
        await screen.press("q")
        await screen.until(lambda: not screen.app.is_running)
    assert not (run.directory / CONTROL_FILE).exists()


@played
async def test_a_finished_run_is_left_without_a_question(tmp_path: Path) -> None:
    run = Run(tmp_path / "cloth", *story(), FINISHED, is_training=False)
    async with opened(run.directory) as screen:
        await screen.shows("finished")
        await screen.press("q")
        await screen.until(lambda: not screen.app.is_running)


@played
async def test_what_is_done_again_after_a_resume_is_forgotten(tmp_path: Path) -> None:
    run = Run(tmp_path / "cloth", *story(400), resumed(200))
    async with opened(run.directory) as screen:
        await screen.shows("goes on after step 200")
        history = screen.app.runs[0].history
        assert history.loss.xs[-1] == 200
        assert history.rate.xs[-1] == pytest.approx(0.2)
        assert history.best.step == 200  # type: ignore[union-attr]
        run.says(step(210))
        await screen.until(lambda: history.loss.xs[-1] == 210)


@played
async def test_several_runs_are_drawn_over_one_another(tmp_path: Path) -> None:
    runs = [Run(tmp_path / name, *story(last)) for name, last in (("a", 400), ("b", 700))]
    async with opened(*(run.directory for run in runs)) as screen:
        await screen.shows("›1 ■ a  running  step 400", " 2 ■ b  running  step 700")  # noqa: RUF001
        await screen.press("tab")
        await screen.shows("›2 ■ b", "b  running", "70%")  # noqa: RUF001
        await screen.press("k")
        assert runs[1].control.poll() == ["save"]
        assert runs[0].control.poll() == []


@pytest.mark.parametrize("size", [(80, 24), (40, 12), (30, 7), (12, 3), (200, 60), (2, 1)])
@played
async def test_every_size_gets_what_fits(tmp_path: Path, size: tuple[int, int]) -> None:
    run = Run(tmp_path / "cloth", *story())
    async with opened(run.directory, size=size) as screen:
        await screen.until(lambda: screen.app.runs[0].history.last)
        await screen.pilot.pause(0.2)
        lines = screen.lines()
        assert len(lines) == size[1]
        if size >= (40, 12):
            assert "40%" in screen.text
            assert any("⠀" <= char <= "⣿" for char in screen.text)


@played
async def test_text_of_others_is_drawn_harmlessly(tmp_path: Path) -> None:
    told = [*story(), Noticed(level="warning", text=EVIL)]
    told += [SampleGenerated(step=n, prompt=EVIL, text=f"{EVIL} {n} {EVIL}") for n in (410, 420)]
    run = Run(tmp_path / "cloth", *told)
    async with opened(run.directory, size=(160, 50)) as screen:
        screen.app.runs[0].history.name = EVIL.replace("/", "")
        await screen.shows("␛[2J", "[@click=app.exit]leave[/]", "at step 420")
        assert not CONTROL.search(screen.text)
        assert "\ufffd" not in screen.text, "each widget cleaned its own; the net caught nothing"
        await screen.press("q")
        await screen.shows("is training")
        assert not CONTROL.search(screen.text)


NONSENSE = [
    b"\x00\xff\n",
    b'{"event": "StepFinished", "step": "x"}\n',
    json.dumps({"time": 1e400, "event": "Noticed", "level": "info", "text": 7}).encode() + b"\n",
    b'{"time": 1, "event": "WeftInserted", "step": 3}\n',
    b'{"time": 1, "event": "CheckpointSaved", "step": null, "path": [], "num_bytes": -1,'
    b' "seconds": {}}\n',
    b'{"time": 1, "event": "EvalFinished", "step": 1'
    + b"0" * 400
    + b', "loss": 1, "perplexity": 1,'
    b' "bits_per_byte": 1, "is_best": true}\n',
]


@played
async def test_a_log_of_another_version_or_damaged_is_read_as_far_as_it_goes(
    tmp_path: Path,
) -> None:
    run = Run(tmp_path / "cloth", *story(100))
    with (run.directory / EVENTS_FILE).open("ab") as log:
        log.write(b"".join(NONSENSE))
    run.says(step(110, loss=float("nan"), grad_norm=float("inf")), step(120))
    async with opened(run.directory) as screen:
        await screen.shows("step 120", "not know are passed over")
        assert screen.app.runs[0].history.state == "running"


@played
async def test_a_run_made_anew_under_the_same_name_begins_anew(tmp_path: Path) -> None:
    run = Run(tmp_path / "cloth", *story(400))
    async with opened(run.directory) as screen:
        await screen.shows("step 400")
        (run.directory / EVENTS_FILE).unlink()
        run.says(PLANNED, step(5))
        await screen.shows("step 5")
        assert screen.app.runs[0].history.loss.xs == [5]
