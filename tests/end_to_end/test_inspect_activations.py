"""What a model computes on the way, through the real command."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from tests.end_to_end.conftest import Trained
from tissu_core.checkpoint.weights import load_tensors, save_tensors

READ = ["inspect", "activations"]
UP, DOWN = "model.layers.0.mlp.up_proj.weight", "model.layers.0.mlp.down_proj.weight"


def changed(copy: Trained, change: Callable[[dict[str, torch.Tensor]], None]) -> Path:
    folder = copy.run.parent.parent / "odd"
    shutil.copytree(copy.run / "model", folder)
    (folder / "tissu.json").unlink()
    tensors = load_tensors(folder / "model.safetensors")
    change(tensors)
    save_tensors(folder / "model.safetensors", tensors)
    return folder


def test_a_text_is_read_and_each_block_is_told(trained_once: Trained, tmp_path: Path) -> None:
    found = trained_once.tissu(*READ, "cloth", "-p", "The weaver counted", "--json").json
    parts = [(place["part"], place["layer"]) for place in found["places"]]
    assert parts == [
        ("embedding", None),
        *((p, 0) for p in ("attention", "units", "mlp", "stream")),
    ]
    assert all(sum(p["histogram"]) == p["num_tokens"] * p["width"] for p in found["places"])
    picture = tmp_path / "seen.svg"
    shown = trained_once.tissu(*READ, "--text", trained_once.corpus, "--svg", picture)
    assert shown.code == 0 and "the stream after each block" in shown.out and "█" in shown.out
    assert "embed" in picture.read_text("utf-8")
    assert max(map(len, shown.out.splitlines())) <= 100
    layer = trained_once.tissu(*READ, "-p", "The", "--layer", "0").out
    assert "0 attention" in layer


def test_bytes_that_are_no_text_are_read_as_such(trained_once: Trained) -> None:
    found = trained_once.tissu(*READ, "cloth", "-p", b"caf\xe9".decode("utf-8", "surrogateescape"))
    assert found.code == 0, found.err


def test_what_was_planted_is_named(trained_copy: Callable[[], Trained]) -> None:
    copy = trained_copy()

    def plant(tensors: dict[str, torch.Tensor]) -> None:
        tensors[UP][5] = 0.0
        tensors[DOWN][9] = 1e6

    folder = changed(copy, plant)
    shown = copy.tissu(*READ, folder, "--text", copy.corpus)
    assert "massive: channel 9 after layer 0" in shown.out
    assert "dead in layers.0.mlp: 5" in shown.out


def test_nan_is_named_where_it_begins(trained_copy: Callable[[], Trained]) -> None:
    copy = trained_copy()
    folder = changed(copy, lambda tensors: tensors[UP][2, 3].fill_(torch.nan))
    shown = copy.tissu(*READ, folder, "-p", "The weaver")
    assert shown.code == 0
    assert "appear first in model.layers.0.mlp.up_proj" in shown.out
    assert f"1 values of {UP}" in shown.out
    assert "NaN or infinite" in shown.out
    assert "dead in" not in shown.out
    assert copy.tissu(*READ, folder, "-p", "The", "--json").json["first_not_finite"]


@pytest.mark.parametrize(
    "command",
    [
        ["eval", "suite", "cloze", "-m"],
        ["eval", "suite", "arithmetic", "--limit", "2", "-m"],
        ["inspect", "tokens", "--samples", "1", "--against", "CORPUS"],
        ["inspect", "quantization"],
    ],
)
def test_nan_is_no_answer(trained_copy: Callable[[], Trained], command: list[str]) -> None:
    copy = trained_copy()
    folder = changed(copy, lambda tensors: tensors[UP][2, 3].fill_(torch.nan))
    words = [str(copy.corpus) if word == "CORPUS" else word for word in command]
    refused = copy.tissu(*words, folder)
    assert (refused.code, "up_proj.weight holds NaN" in refused.err) == (3, True), refused.err


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        ([], 2, "nothing to read"),
        (["-p", "a", "--text", "README.md"], 2, "both"),
        (["-p", ""], 3, "empty"),
        (["-p", "a", "--layer", "7"], 2, "no layer 7: there are 1, from 0"),
        (["--text", "nowhere"], 3, "nowhere"),
    ],
)
def test_bad_input_is_answered(
    trained_once: Trained, options: list[str], code: int, words: str
) -> None:
    result = trained_once.tissu(*READ, "cloth", *options)
    assert result.code == code and words in result.error[0]
