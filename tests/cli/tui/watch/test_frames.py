"""Golden frames of the watch screen; see ``tests/cli/tui/test_frames.py`` for how they are made."""

import os
import time
from pathlib import Path

import pytest

from tests.cli.tui.harness import played
from tests.cli.tui.test_frames import normalised
from tests.cli.tui.watch.desk import Run, opened, story
from tissu_core.events.shared import Noticed
from tissu_core.events.training import RequestTaken
from tissu_core.tracking import event_log

FRAMES = Path(__file__).parent.parent / "frames"
NOON = 1_700_000_000.0


@pytest.mark.parametrize(("size", "count"), [((120, 36), 1), ((80, 24), 2)])
@played
async def test_the_screen_looks_as_it_did(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: tuple[int, int], count: int
) -> None:
    monkeypatch.setattr(event_log.time, "time", lambda: NOON)
    monkeypatch.setattr(time, "localtime", time.gmtime)
    told = [
        RequestTaken(step=250, request="evaluate"),
        Noticed(level="warning", text="2 of the steps up to 300 were left out: 漢字"),
    ]
    runs = [
        Run(tmp_path / name, *story(last), *told) for name, last in (("cloth", 400), ("b", 700))
    ]
    directories = [run.directory for run in runs[:count]]
    async with opened(*directories, size=size, clock=lambda: NOON + 90) as screen:
        await screen.shows("40%", "Leave")
        await screen.pilot.pause(0.3)
        seen = normalised(screen.app.export_screenshot(title="tissu watch"))
    kept = FRAMES / f"watch-{size[0]}x{size[1]}.svg"
    if os.environ.get("TISSU_WRITE_FRAMES"):
        kept.write_text(seen, "utf-8")
    if seen != kept.read_text("utf-8"):
        (tmp_path / kept.name).write_text(seen, "utf-8")
        raise AssertionError(f"{kept} is not what is drawn, which is {tmp_path / kept.name}")
