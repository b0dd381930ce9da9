"""Runs that somebody could be training, and the screen in front of them."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path

from textual import events
from textual.keys import key_to_character
from textual.pilot import Pilot

from tests.core.runs.test_follow import PLANNED, STARTED, evaluated, saved
from tissu_cli.tui.watch.allowance import Allowance
from tissu_cli.tui.watch.app import WatchApp
from tissu_core.config.runs import TrainRun
from tissu_core.events.training import SampleGenerated, StepFinished, TrainEvent
from tissu_core.runs.run_directory import RUN_FILE, writing
from tissu_core.runs.train.stored_run import StoredRun, write_run
from tissu_core.tracking.control import Control
from tissu_core.tracking.event_log import EventLog

PATIENCE_SECONDS = 10.0
SAMPLE = "counted the {} threads and moved the sacks of the mill"


def step(number: int, **changes: object) -> StepFinished:
    """A report of a run of 1,000 steps."""
    facts: dict[str, object] = {
        "step": number,
        "progress": number / 1000,
        "loss": 2.0 + 300 / (number + 60) + 0.1 * (number * 7919 % 13 - 6) / 6,
        "learning_rate": 1e-3 * (1 - number / 1000),
        "grad_norm": 0.6 + 0.6 * (number * 104729 % 17) / 17,
        "tokens": 256 * number,
        "tokens_per_second": 20_000.0 + number * 7 % 100,
        "elapsed_seconds": number / 2,
        "memory_bytes": 500_000_000,
        "device_utilization": None,
    }
    return StepFinished(**(facts | changes))  # type: ignore[arg-type]


def story(last: int = 400) -> list[TrainEvent]:
    """What a run says until a step."""
    told: list[TrainEvent] = [STARTED, PLANNED]
    for number in range(10, last + 1, 10):
        told.append(step(number))
        if number % 100 == 0:
            text = SAMPLE.format(number)
            told += [saved(number), evaluated(number, 2.5 - number / 1000)]
            told.append(SampleGenerated(step=number, prompt="The weaver ", text=text))
    return told


class Run:
    """A run's directory, with somebody in it who would train."""

    def __init__(self, directory: Path, *told: TrainEvent, is_training: bool = True) -> None:
        self.directory = directory
        directory.mkdir(parents=True)
        self._held = ExitStack()
        if is_training:
            self._held.enter_context(writing(directory))
        write_run(directory, StoredRun(run=TrainRun(), steps=1000, tokens_key="k"))
        self.control = Control(directory)
        self.says(*told)

    def says(self, *told: TrainEvent) -> None:
        log = EventLog(self.directory)
        for event in told:
            log.append(event)
        log.close()

    def ends(self) -> None:
        """The process is gone."""
        self._held.close()

    def vanishes(self) -> None:
        self.ends()
        for path in self.directory.iterdir():
            path.unlink()
        assert not (self.directory / RUN_FILE).exists()


class Screen:
    """A watch screen that is shown."""

    def __init__(self, app: WatchApp, pilot: Pilot[None]) -> None:
        self.app, self.pilot = app, pilot

    async def until(self, holds: Callable[[], object], what: str = "") -> None:
        patience = time.monotonic() + PATIENCE_SECONDS
        while not holds():
            assert time.monotonic() < patience, "\n".join(["it never came", what, *self.lines()])
            if self.app._exception is not None:
                raise self.app._exception
            await asyncio.sleep(0.01)

    async def shows(self, *parts: str) -> None:
        await self.until(lambda: all(part in self.text for part in parts), " ".join(parts))

    async def press(self, *keys: str) -> None:
        for key in keys:
            self.app.post_message(events.Key(key, key_to_character(key)))
            await self.pilot.pause()

    def lines(self) -> list[str]:
        strips = self.app.screen._compositor.render_strips()
        return ["".join(segment.text for segment in strip).rstrip() for strip in strips]

    @property
    def text(self) -> str:
        return "\n".join(self.lines())


@asynccontextmanager
async def opened(
    *directories: Path,
    size: tuple[int, int] = (120, 36),
    clock: Callable[[], float] = time.time,
) -> AsyncIterator[Screen]:
    """The screen in front of runs."""
    app = WatchApp(directories, clock, Allowance(used=lambda: 0.0))
    async with app.run_test(size=size, notifications=True) as pilot:
        yield Screen(app, pilot)
