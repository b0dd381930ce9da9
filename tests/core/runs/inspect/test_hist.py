"""What a run's histograms say: which count, what is dead, what explodes."""

import json
import random
from pathlib import Path
from statistics import median
from typing import Any

import pytest

from tissu_core.errors import ConfigError
from tissu_core.events.histograms import (
    HistogramsRead,
    HistogramsTaken,
    TensorHistogram,
)
from tissu_core.events.records import to_record
from tissu_core.events.shared import Noticed
from tissu_core.events.training import RunResumed
from tissu_core.runs.inspect.hist import inspect_histograms, read_histograms
from tissu_core.runs.train.histograms import HISTOGRAMS_FILE

EDGES = (-2.0, -1.0, 0.0, 1.0, 2.0)
UNITS, WEIGHT = "model.layers.0.mlp.down_proj", "model.layers.1.mlp.up_proj.weight"


def units(dead: int) -> TensorHistogram:
    return TensorHistogram(
        name=UNITS,
        kind="activation",
        numel=4,
        norm=1.0,
        not_finite=0,
        first_bin=1,
        counts=(3, 1),
        num_units=8,
        dead=f"{dead:x}",
    )


def weight(norm: float, *, not_finite: int = 0, kind: str = "weight") -> TensorHistogram:
    return TensorHistogram(
        name=WEIGHT,
        kind=kind,
        numel=4,
        norm=norm,
        not_finite=not_finite,  # type: ignore[arg-type]
        first_bin=2,
        counts=(4 - not_finite,),
    )


def taken(step: int, *tensors: TensorHistogram) -> HistogramsTaken:
    return HistogramsTaken(step=step, edges=EDGES, tensors=tensors)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    (tmp_path / "r").mkdir()
    (tmp_path / "r" / "config.toml").write_text("")
    return tmp_path / "r"


def write(directory: Path, *events: object) -> None:
    lines = [e if isinstance(e, str) else json.dumps(to_record(e)) for e in events]
    (directory / HISTOGRAMS_FILE).write_text("\n".join(lines) + "\n", "utf-8")


def read(directory: Path, **options: object) -> tuple[HistogramsRead, list[Noticed]]:
    asked = {"layer": None, "kind": None, "dead_for": 3} | options
    *notices, found = inspect_histograms(str(directory), **asked)  # type: ignore[arg-type]
    assert isinstance(found, HistogramsRead)
    return found, [n for n in notices if isinstance(n, Noticed)]


def resumed(step: int) -> RunResumed:
    return RunResumed(name="r", directory="", from_step=step)


def test_later_steps_of_an_earlier_try_are_dropped(directory: Path) -> None:
    norms = [(10, 1.0), (20, 2.0), (30, 3.0)]
    events = [taken(step, weight(norm)) for step, norm in norms]
    write(directory, resumed(0), *events, resumed(20), taken(30, weight(9.0)), resumed(25))
    found, _ = read(directory)
    assert found.steps == (10, 20) and found.tensors[0].norms == (1.0, 2.0)


def test_half_and_damaged_lines_are_told_and_passed_over(directory: Path) -> None:
    wrong = to_record(taken(25, weight(1.0)))
    wrong["tensors"][0]["counts"] = [7]
    odd = to_record(taken(26, units(0)))
    odd["tensors"][0]["dead"] = "zz"
    whole = json.dumps(to_record(taken(30, weight(1.0))))
    events = [
        taken(10, weight(1.0)),
        "{",
        json.dumps(wrong),
        json.dumps(odd),
        '["event"]',
        "null",
        whole[:-40],
    ]
    write(directory, *events, taken(20, weight(1.0)))
    assert [each.step for each in read_histograms(directory)[0]] == [10, 20]
    _, (notice,) = read(directory)
    assert "line 2, 3, 4 and others" in notice.text


def test_units_are_dead_that_stay_unused(directory: Path) -> None:
    masks = [0b1111_0000, 0b0110_0001, 0b0100_0001, 0b1100_0001]
    write(directory, *(taken(10 * i, units(mask)) for i, mask in enumerate(masks, 1)))
    (dead,) = read(directory)[0].dead
    assert (dead.name, dead.units, dead.since, dead.num_units) == (UNITS, (0, 6), 20, 8)
    (dead,) = read(directory, dead_for=4)[0].dead
    assert dead.units == (6,)
    assert not read(directory, dead_for=5)[0].dead
    assert not read(directory, layer=0, kind="weight")[0].dead


@pytest.mark.parametrize(
    ("kind", "norms", "step"),
    [
        ("weight", [1, 1.1, 0.9, 1, 12], 5),
        ("weight", [1, 1.1, 0.9, 1, 9], None),
        ("weight", [0, 0, 0, 1, 2, 4, 6, 8, 9], None),
        ("weight", [1, 1, 1, 11], None),
        ("grad", [1, 1.1, 0.9, 1, 12], None),
        ("grad", [1, 1.1, 0.9, 1, 120], 5),
        ("activation", [1, 2, 4, 8, 16, 32, 64, 128, 256], 9),
    ],
)
def test_what_grows_far_above_the_usual_explodes(
    directory: Path, kind: str, norms: list[float], step: int | None
) -> None:
    write(directory, *(taken(i, weight(norm, kind=kind)) for i, norm in enumerate(norms, 1)))
    found = [each.step for each in read(directory)[0].exploding]
    assert found == ([] if step is None else [step])


def test_the_usual_is_the_median_of_all_norms_before(directory: Path) -> None:
    draw = random.Random(0)
    norms = [0.0, *(draw.uniform(1, 9) for _ in range(100))]
    for number in (99, 100):
        grown = [*norms[:number], 1000.0]
        write(directory, *(taken(i, weight(norm)) for i, norm in enumerate(grown)))
        (found,) = read(directory)[0].exploding
        assert (found.step, found.usual) == (number, median(norms[1:number]))


def test_the_records_of_a_long_run_are_not_copied_for_each_other(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compared = 0

    class Step(int):
        def __lt__(self, other: int) -> bool:
            nonlocal compared
            compared += 1
            return int(self) < other

        def __ge__(self, other: int) -> bool:
            return not self < other

    def read_record(record: dict[str, Any]) -> HistogramsTaken:
        return taken(Step(record["step"]))

    monkeypatch.setattr("tissu_core.runs.inspect.hist.taken_from", read_record)
    write(directory, *(taken(step) for step in range(300)))
    found, bad = read_histograms(directory)
    assert len(found) == 300 and not bad and compared < 1000


def test_the_first_record_that_is_not_finite_is_named(directory: Path) -> None:
    counts = [0, 0, 2, 3]
    write(directory, *(taken(i, weight(1.0, not_finite=n)) for i, n in enumerate(counts, 1)))
    (found,) = read(directory)[0].exploding
    assert (found.name, found.step, found.not_finite) == (WEIGHT, 3, 2)


def test_bins_are_whole_again_and_chosen_by_layer_and_kind(directory: Path) -> None:
    write(directory, taken(5, units(0), weight(1.0)))
    found, _ = read(directory)
    assert [each.histograms for each in found.tensors] == [((0, 3, 1, 0),), ((0, 0, 4, 0),)]
    assert [each.name for each in read(directory, layer=1)[0].tensors] == [WEIGHT]
    assert [each.name for each in read(directory, kind="activation")[0].tensors] == [UNITS]
    with pytest.raises(ConfigError, match="no layer 2: there are 2"):
        read(directory, layer=2)
