"""Two real steps say what a run would take, and leave nothing behind."""

from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.conftest import FAST, Result, Tissu, log_of, train_briefly

PLAN = ["--steps", "40", "--eval-every", "10", *FAST]


def dry_run(tissu: Tissu, corpus: Path, *options: str) -> Result:
    return tissu("train", corpus, "--dry-run", *options)


def probed(result: Result) -> dict[str, Any]:
    import json

    events = [json.loads(line) for line in result.out.splitlines()]
    (found,) = [event for event in events if event["event"] == "Probed"]
    return found  # type: ignore[no-any-return]


def test_it_says_what_the_run_then_takes(tissu: Tissu, corpus: Path) -> None:
    found = probed(dry_run(tissu, corpus, *PLAN, "--view", "json"))
    assert not (tissu.home / "runs").exists()
    assert tissu("train", corpus, "--name", "real", *PLAN).code == 0
    run = tissu.home / "runs/real"
    steps = [event for event in log_of(run) if event["event"] == "StepFinished"]
    (planned,) = [event for event in log_of(run) if event["event"] == "Planned"]
    assert found["num_parameters"] == planned["num_parameters"]
    assert (found["steps"], found["tokens"]) == (40, steps[-1]["tokens"])
    assert found["is_fitting"]
    assert found["step_seconds"] > 0
    assert found["hours"] >= found["step_seconds"] * 40 / 3600
    assert 50e6 < found["peak_bytes"] < found["free_bytes"]
    on_disk = sum(file.stat().st_size for file in run.rglob("*.safetensors"))
    assert 0.5 * on_disk < found["disk_bytes"] < 2.5 * on_disk


def test_cheaper_runs_are_cheaper(tissu: Tissu, corpus: Path) -> None:
    options = ["--depth", "4", "--context", "64", "--batch-tokens", "512", "--steps", "40"]
    found = probed(dry_run(tissu, corpus, *options, "--threads", "1", "--view", "json"))
    cheaper = {other["change"]: other for other in found["alternatives"]}
    assert [*cheaper] == [
        "--depth 2",
        "--grad-accum 2",
        "--checkpoint-activations block",
        "--context 32",
        "--steps 20",
    ]
    for other in cheaper.values():
        assert other["peak_bytes"] <= found["peak_bytes"]
        assert other["disk_bytes"] <= found["disk_bytes"]
    assert cheaper["--depth 2"]["num_parameters"] < found["num_parameters"] / 2
    assert cheaper["--depth 2"]["hours"] < found["hours"] / 2
    assert cheaper["--steps 20"]["hours"] == pytest.approx(found["hours"] / 2, rel=0.3)
    assert cheaper["--checkpoint-activations block"]["hours"] > found["hours"]
    again = dry_run(tissu, corpus, *options, "--threads", "1", "--grad-accum", "2")
    assert again.code == 0, "what it names can be typed"


def test_people_get_a_table(tissu: Tissu, corpus: Path) -> None:
    result = dry_run(tissu, corpus, *PLAN)
    assert result.code == 0
    assert "would take:" in result.err
    assert "it fits" in result.err
    assert "--steps 20" in result.err


def test_one_that_cannot_fit_the_disk_is_refused_with_what_does(
    tissu: Tissu, corpus: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = ["--depth", "4", "--context", "32", "--steps", "40", "--threads", "1"]
    needed = probed(dry_run(tissu, corpus, *options, "--view", "json"))["disk_bytes"]
    monkeypatch.setattr("tissu_core.runs.train.probe.free_disk_bytes", lambda path: needed // 2)
    result = dry_run(tissu, corpus, *options)
    assert result.code == 4
    assert "does not fit" in result.err
    assert "of disk at" in result.error[0]
    assert "--depth 2" in result.error[2]


def test_one_that_cannot_fit_memory_is_refused_with_what_does(
    tissu: Tissu, corpus: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The plan lets pass what fits one sequence at a time; here sixteen are asked for."""
    wide = ["--depth", "4", "--context", "128", "--batch-tokens", "2048", "--steps", "8"]
    options = [*wide, "--threads", "1", "--set", "training.micro_batch=16"]
    monkeypatch.setattr("tissu_core.runtime.memory.free_bytes", lambda device: 110e6)
    monkeypatch.setattr("tissu_core.runs.train.probe.free_bytes", lambda device: 0)
    monkeypatch.setattr("tissu_core.runs.train.probe.used_bytes", lambda device: 110_000_000)
    result = dry_run(tissu, corpus, *options)
    assert result.code == 4
    assert "GB of memory" in result.error[0]
    assert "--" in result.error[2]


def test_memory_that_gives_out_in_the_steps_is_an_answer(
    tissu: Tissu, corpus: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*given: object, **more: object) -> None:
        raise RuntimeError("out of memory")

    monkeypatch.setattr("tissu_core.runs.train.assembly.next_token", fail)
    result = dry_run(tissu, corpus, *PLAN)
    assert result.code == 4
    assert "does not fit" in result.error[0]
    assert train_briefly(tissu, corpus).code == 4, "as the run itself"
