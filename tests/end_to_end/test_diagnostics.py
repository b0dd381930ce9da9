"""Checks of gradients, profiles and processes, through the real command."""

import json
from pathlib import Path

import pytest

from tests.core.interpret.test_gradcheck import cubed
from tests.end_to_end.conftest import FAST, Tissu, log_of

RUN = ["--steps", "6", "--eval-every", "6", "--no-compile", *FAST]


def test_gradients_are_checked_and_told(tissu: Tissu) -> None:
    drawn = tissu("inspect", "gradcheck", "--module", "norm.")
    assert drawn.code == 0, drawn.err
    lines = drawn.out.splitlines()
    assert lines[0].split() == ["layer", "parameters", "inputs", "error", "result"]
    assert [line.split()[-1] for line in lines[1:-1]] == ["PASS"] * (len(lines) - 2)
    assert lines[-1].startswith(f"{len(lines) - 2} layers PASS, largest relative error ")
    told = tissu("inspect", "gradcheck", "--module", "norm.", "--json").json
    assert told["passed"] is True
    assert all(check["largest_error"] < 1e-6 for check in told["checks"])


def test_a_wrong_backward_fails_the_command(tissu: Tissu, monkeypatch: pytest.MonkeyPatch) -> None:
    cases = (cubed(lambda x: 3 * x**2), cubed(lambda x: 2 * x**2))
    monkeypatch.setattr("tissu_core.interpret.gradcheck.CASES", cases)
    result = tissu("inspect", "gradcheck")
    assert result.code == 1
    assert "FAIL at x" in result.out and "1 of 2 layers FAIL" in result.out
    assert tissu("inspect", "gradcheck", "--json").json["passed"] is False


def test_an_unknown_layer_is_answered(tissu: Tissu) -> None:
    result = tissu("inspect", "gradcheck", "--module", "los")
    assert result.code == 0, "a part of a name is enough"
    result = tissu("inspect", "gradcheck", "--module", "nrom")
    assert (result.code, result.error[2]) == (2, "try: --module norm")


@pytest.mark.parametrize("kind", ["cpu", "memory"])
def test_a_profile_is_told_at_the_end_and_changes_nothing(
    tissu: Tissu, corpus: Path, kind: str
) -> None:
    assert tissu("train", corpus, "--name", "plain", *RUN).code == 0
    options = ["--name", "seen", "--profile", kind, "--profile-steps", "2"]
    result = tissu("train", corpus, *options, *RUN)
    assert result.code == 0, result.err
    runs = tissu.home / "runs"
    trace = runs / "seen" / "profile" / "trace.json"
    assert json.loads(trace.read_text("utf-8"))["traceEvents"]
    report = result.err.partition("profiled  2 steps up to 5")[2]
    for word in ("phase", "forward", "backward", "layers.*.mlp", str(trace)):
        assert word in report
    (event,) = [line for line in log_of(runs / "seen") if line["event"] == "ProfileFinished"]
    assert (event["kind"], event["steps"], event["step"]) == (kind, 2, 5)
    weights = [(runs / name / "model" / "model.safetensors").read_bytes() for name in _NAMES]
    assert weights[0] == weights[1]
    assert not (runs / "plain" / "profile").exists()
    stored = [(runs / name / "config.toml").read_text("utf-8") for name in _NAMES]
    assert stored[0] == stored[1], "a resume is not profiled again"


_NAMES = ("plain", "seen")


def test_a_run_too_short_for_a_profile_says_so(tissu: Tissu, corpus: Path) -> None:
    result = tissu("train", corpus, "--profile", "cpu", "--name", "r", *RUN, "--steps", "4")
    assert result.code == 0
    assert "no profile: it takes 6 steps" in result.err
    assert tissu("train", corpus, "--profile", "time", *RUN).code == 2


def test_processes_are_tried_out(tissu: Tissu) -> None:
    result = tissu("doctor", "--procs", "2", "--json")
    checks = {check["name"]: check for check in result.json["checks"]}
    assert checks["all-reduce"]["status"] == checks["disk write"]["status"] == "ok"
    both = tissu("doctor", "--procs", "2", "--gpus", "2")
    assert both.code == 2 and "--gpus and --procs" in both.error[0]
