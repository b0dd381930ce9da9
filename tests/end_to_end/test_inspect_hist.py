"""Histograms of a run, from the options of train to what is drawn."""

import json
from pathlib import Path

import pytest

from tests.end_to_end.conftest import FAST, Tissu, Trained, train_briefly

TWO = ["--procs", "2", "--device", "cpu"]


def steps_of(run: Path) -> list[int]:
    lines = [json.loads(line) for line in (run / "hist.jsonl").read_text("utf-8").splitlines()]
    return [line["step"] for line in lines if line["event"] == "HistogramsTaken"]


def test_a_run_is_the_same_with_and_without_and_goes_on(tissu: Tissu, corpus: Path) -> None:
    assert train_briefly(tissu, corpus).code == 0
    watched = tissu(
        "train",
        corpus,
        "--name",
        "w",
        "--steps",
        "8",
        "--hist-every",
        "3",
        *FAST,
    )
    assert watched.code == 0, watched.err
    runs = tissu.home / "runs"
    assert not (runs / "r" / "hist.jsonl").exists()
    weights = [(runs / name / "model" / "model.safetensors").read_bytes() for name in "rw"]
    assert weights[0] == weights[1]
    assert steps_of(runs / "w") == [1, 3, 6]
    longer = ["train", "--resume", "w", "--override", "--steps", "14"]
    assert tissu(*longer).code == 0
    assert steps_of(runs / "w") == [1, 3, 6, 9, 12]
    found = tissu("inspect", "hist", "w", "--json").json
    assert found["steps"] == [1, 3, 6, 9, 12]
    kinds = [tensor["kind"] for tensor in found["tensors"]]
    assert kinds.count("weight") == kinds.count("grad") == 14 and kinds.count("activation") == 2
    assert all(sum(h) == t["numel"] for t in found["tensors"] for h in t["histograms"])
    table = tissu("inspect", "hist", "w").out
    assert "layers.0.mlp.gate_proj" in table and "█" in table
    strips = tissu("inspect", "hist", "w", "--layer", "0", "--kind", "activation").out
    assert "▓" in strips and "step 1" in strips and "layers.0.mlp.down_proj" in strips
    assert tissu("inspect", "hist", "w", "--layer", "4").code == 2
    assert tissu("inspect", "hist", "w", "--kind", "bias").code == 2
    with (runs / "w" / "hist.jsonl").open("a") as file:
        file.write('{"event": "Histogr')
    damaged = tissu("inspect", "hist", "w")
    assert damaged.code == 0 and "damaged in line" in damaged.err


def test_a_run_without_says_how_to_get_some(trained_once: Trained) -> None:
    result = trained_once.tissu("inspect", "hist", "cloth")
    assert result.code == 3 and "no histograms" in result.error[0]
    assert "--hist-every 50" in result.error[2]


@pytest.mark.parametrize("cut", [["--shard", "full"], ["--tp", "2"]])
def test_tensors_in_parts_are_refused(tissu: Tissu, corpus: Path, cut: list[str]) -> None:
    result = train_briefly(tissu, corpus, "--hist-every", "2", "--dry-run", *TWO, *cut)
    assert result.code == 2 and "whole tensors" in result.error[0]
