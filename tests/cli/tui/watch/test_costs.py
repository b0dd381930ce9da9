"""What keeps the watch screen cheap, with clocks that a test turns."""

import math
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from textual.content import Content

from tests.cli.tui.watch.desk import Run, story
from tissu_cli.tui.watch import watched
from tissu_cli.tui.watch.allowance import Allowance
from tissu_cli.tui.watch.bodies import Bodies
from tissu_cli.tui.watch.panes import foot
from tissu_cli.tui.watch.series import Series
from tissu_cli.tui.watch.watched import WatchedRun
from tissu_core.runs import watch


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize(("frame", "reports"), [(0.003, 10.0), (0.003, 1.0), (0.001, 0.5)])
def test_frames_and_all_else_stay_below_the_share(frame: float, reports: float) -> None:
    """An hour in steps of half a second; when nothing happens the process takes 2 ms a second."""
    clock, used = Clock(), Clock()
    allowance = Allowance(clock, used)
    frames, reported = 0, 0.0
    while clock.now < 3600:
        clock.now += 0.5
        used.now += 0.001
        reported += reports / 2
        if reported >= 1 and allowance.is_enough:
            allowance.spend()
            frames, reported, used.now = frames + 1, 0.0, used.now + frame
    assert used.now / 3600 < 0.0045
    assert frames > 3600 / 5


def test_on_a_machine_that_is_too_slow_a_frame_still_comes() -> None:
    clock, used = Clock(), Clock()
    allowance = Allowance(clock, used)
    used.now = 9.0
    frames = []
    while clock.now < 60:
        clock.now += 0.5
        if allowance.is_enough:
            allowance.spend()
            frames.append(clock.now)
            used.now += 1.0
    assert frames == [5.0 * number for number in range(1, 13)]
    allowance.favour()
    while clock.now < 64.5:
        clock.now += 0.5
        used.now += 1.0
        assert allowance.is_enough, "a person looks"
        allowance.spend()
    clock.now, used.now = 65.5, used.now + 1.0
    assert not allowance.is_enough
    allowance.forgive()
    assert allowance.is_enough


def test_bodies_are_drawn_again_when_they_are_due_or_others() -> None:
    clock = Clock()
    bodies = Bodies(clock)
    drawn = []

    def draw() -> list[Content]:
        drawn.append(clock.now)
        clock.now += 0.004
        return [Content("x")]

    def picture(seen: str, *, is_new: bool) -> None:
        bodies.begin(seen, is_new=is_new)
        bodies.rows("loss", draw)

    picture("a", is_new=True)
    for _ in range(100):
        clock.now += 0.039
        picture("a", is_new=True)
    assert len(drawn) == 1, "0.4 s of a clock are worth 0.0004 s of drawing"
    clock.now = drawn[0] + 4.01
    assert bodies.are_due
    picture("a", is_new=False)
    assert len(drawn) == 2
    clock.now += 100
    assert not bodies.are_due, "nothing was reported since"
    picture("b", is_new=False)
    assert len(drawn) == 3


def test_what_is_drawn_of_the_same_objects_is_kept() -> None:
    bodies = Bodies()
    one, same_text = Content("a"), Content("a").stylize("bold")
    assert bodies.kept("row", (one,), lambda: 1) == 1
    assert bodies.kept("row", (one,), lambda: 2) == 1
    assert bodies.kept("row", (same_text,), lambda: 3) == 3


def noise(number: int) -> Iterator[tuple[float, float]]:
    draw = random.Random(7)
    for x in range(number):
        y = draw.gauss(0, 1)
        yield float(x), math.nan if x % 97 == 0 else y


@pytest.mark.parametrize("number", [10, 1_000, 1_025, 30_000, 200_000])
def test_a_long_line_is_bounded_and_has_its_extremes(number: int) -> None:
    series, points = Series(), list(noise(number))
    spike = number * 2 // 3
    points[spike] = (float(spike), 50.0)
    for point in points:
        series.add(*point)
        assert len(series.xs) <= 1300
    known = [y for _, y in points if not math.isnan(y)]
    found = [*zip(series.xs, series.ys, strict=True)]
    assert series.xs == sorted(series.xs)
    assert (float(spike), 50.0) in found
    assert min(series.numbers()) == min(known)
    assert math.isnan(points[-1][1]) or series.last == points[-1][1]
    assert {point for point in found if not math.isnan(point[1])} <= {*points}
    if number <= 1_000:
        assert len(found) == number


def test_a_line_is_cut_where_it_is_done_again() -> None:
    series = Series()
    for point in noise(30_000):
        series.add(*point)
    for place in (29_990.0, 20_000.0, 50.0, -1.0):
        series.cut(place)
        assert all(x <= place for x in series.xs)
    assert series.xs == []
    assert math.isnan(series.last)
    series.add(1.0, 2.0)
    assert series.last == 2.0


def test_a_long_log_is_read_in_slices_that_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "_CHUNK_BYTES", 1000)
    monkeypatch.setattr(watched, "_READING_SECONDS", 0.0)
    run = WatchedRun(Run(tmp_path / "cloth", *story(), is_training=False).directory)
    told = []
    while run.look() and run.is_behind:
        told.append(foot(run.history, 60).plain)
    assert len(told) > 10
    assert all(text.startswith("reading the log: ") for text in told)
    assert "40%" in foot(run.history, 60).plain
