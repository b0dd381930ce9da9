import io
import re

import pytest

from tissu_cli.render import status as module
from tissu_cli.render.status import StatusLine, narrated
from tissu_core.events.shared import Noticed, StageAdvanced


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(module, "time", clock)
    monkeypatch.setattr(module, "is_live", lambda: True)
    return clock


def shown(
    clock: Clock, monkeypatch: pytest.MonkeyPatch, steps: list[tuple[float, str, int, int]]
) -> list[str]:
    """The lines that are drawn when stages advance at these times."""
    stderr = io.StringIO()
    monkeypatch.setattr("sys.stderr", stderr)
    line = StatusLine()
    for at, stage, done, total in steps:
        clock.now = 100.0 + at
        line.show(StageAdvanced(stage=stage, done=done, total=total, unit="tokens"))
    return re.split("\r\x1b\\[K", stderr.getvalue())[1:]


def test_the_time_left_follows_from_the_pace_of_the_stage(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = shown(
        clock,
        monkeypatch,
        [(0, "reading", 10, 0), (60, "scoring", 0, 100), (80, "scoring", 20, 100)],
    )
    assert lines[-1].endswith("20 of 100 tokens, about 1:20 left") or "80 s left" in lines[-1]
    assert "left" not in lines[0] + lines[1]


def test_without_a_total_nothing_is_foreseen(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = shown(clock, monkeypatch, [(0, "reading", 1, 0), (5, "reading", 9, 0)])
    assert all("left" not in line for line in lines)


def test_what_is_noticed_begins_a_line_of_its_own(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    stderr = io.StringIO()
    monkeypatch.setattr("sys.stderr", stderr)
    line = StatusLine()
    events = [
        StageAdvanced(stage="reading", done=1, total=0, unit="files"),
        Noticed(level="info", text="one is empty"),
    ]
    assert list(narrated(events, line)) == []
    assert "\r\x1b[Kone is empty" in stderr.getvalue()
