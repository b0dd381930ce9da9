"""Models of the store through the real command."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from tests.end_to_end.conftest import Trained, snapshot
from tissu_core.checkpoint.weights import load_tensors

Copy = Callable[[], Trained]


def steps_of(trained: Trained) -> list[int]:
    return sorted(int(path.name[5:]) for path in (trained.run / "checkpoints").glob("step-*"))


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_tensors(folder / "model.safetensors")


def test_checkpoints_of_a_run_are_averaged(trained_copy: Copy) -> None:
    copy = trained_copy()
    steps, before = steps_of(copy), snapshot(copy.run)
    assert len(steps) >= 2
    made = copy.tissu("models", "average", *(f"cloth:{step}" for step in steps), "--json")
    path = Path(made.json["path"])
    parts = [weights(copy.run / "checkpoints" / f"step-{step:06}") for step in steps]
    for name, mean in weights(path).items():
        expected = torch.stack([part[name] for part in parts]).double().mean(0)
        torch.testing.assert_close(mean.double(), expected, rtol=1e-7, atol=1e-8)
        assert not torch.equal(mean, parts[0][name])
    assert snapshot(copy.run) == before
    lineage = json.loads((path / "tissu.json").read_text())["lineage"]
    assert [Path(parent["path"]).name for parent in lineage] == [f"step-{s:06}" for s in steps]
    assert not list(path.glob("*optimizer*")) and not list(path.glob("training*"))
    assert copy.tissu("generate", "cloth-average", "-p", "The", "--max-tokens", "3").code == 0
    assert "cloth-average" in copy.tissu("models", "list").out


def test_a_name_may_be_given_and_is_never_taken_twice(trained_copy: Copy) -> None:
    copy = trained_copy()
    command = ["models", "average", "cloth", copy.run / "model", "-o", "twin"]
    assert "twin" in copy.tissu(*command).out
    twin = copy.tissu.home / "models" / "twin"
    for name, mean in weights(twin).items():
        assert torch.equal(mean, weights(copy.run / "model")[name]), "the mean of a model is itself"
    before = snapshot(twin)
    again = copy.tissu(*command)
    assert again.code == 2 and "twin" in again.error[0]
    assert snapshot(twin) == before


@pytest.mark.parametrize(
    ("file", "old", "new", "word"),
    [
        ("config.json", '"rope_theta": 10000.0', '"rope_theta": 5000.0', "rope_theta"),
        ("tokenizer.json", '"<|pad|>"', '"<|pda|>"', "tokenizer"),
    ],
)
def test_models_that_differ_are_refused(
    trained_copy: Copy, file: str, old: str, new: str, word: str
) -> None:
    copy = trained_copy()
    folder = copy.run / "model"
    (folder / "tissu.json").unlink()
    text = (folder / file).read_text("utf-8")
    assert old in text
    (folder / file).write_text(text.replace(old, new), "utf-8")
    result = copy.tissu("models", "average", f"cloth:{steps_of(copy)[-1]}", folder)
    assert result.code == 2
    assert word in result.error[0]
    assert not (copy.tissu.home / "models").exists()


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["cloth"], 2, "two models or more"),
        (["cloth", "clothh"], 3, "no model 'clothh'"),
        (["cloth", "cloth:7"], 3, "keeps no checkpoint of step 7"),
        (["cloth", "silk:7"], 3, "no run 'silk'"),
        (["cloth", "cloth", "-o", "con"], 2, "is not one of Windows' devices"),
        (["cloth", "cloth", "-o", ".."], 2, "not an empty directory"),
    ],
)
def test_what_cannot_be_averaged_is_refused(
    trained_once: Trained, arguments: list[str], code: int, words: str
) -> None:
    result = trained_once.tissu("models", "average", *arguments)
    assert result.code == code
    assert words in result.error[0]


def test_a_damaged_model_is_refused(trained_copy: Copy) -> None:
    copy = trained_copy()
    file = copy.run / "model" / "model.safetensors"
    damaged = bytearray(file.read_bytes())
    damaged[-1] ^= 1
    file.write_bytes(damaged)
    result = copy.tissu("models", "average", "cloth", f"cloth:{steps_of(copy)[-1]}")
    assert result.code == 6
    assert not (copy.tissu.home / "models").exists()
