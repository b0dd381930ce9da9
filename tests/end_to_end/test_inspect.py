"""Looking inside a model through the real command."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from tests.end_to_end.conftest import Trained
from tissu_core.checkpoint.weights import load_tensors, save_tensors


def test_a_model_is_described_from_its_headers(trained_once: Trained) -> None:
    report = trained_once.tissu("inspect", "model", "cloth", "--json").json
    tensors = load_tensors(trained_once.run / "model" / "model.safetensors")
    assert report["num_parameters"] == sum(tensor.numel() for tensor in tensors.values())
    assert report["bytes_by_dtype"] == {"F32": 4 * report["num_parameters"]}
    assert report["num_bytes"] == 4 * report["num_parameters"]
    assert report["kv_bytes_per_token"] == 2 * 4 * 32
    assert report["kv_bytes"] == 32 * report["kv_bytes_per_token"]
    assert report["train_flops_per_token"] == 3 * report["forward_flops_per_token"] > 0
    assert report["modules"][0]["num_parameters"] == report["num_parameters"]
    drawn = trained_once.tissu("inspect", "model").out
    for word in ("self_attn", "100.0%", "F32", "context", "rope_theta", "KV cache"):
        assert word in drawn


def test_weights_are_not_read(trained_copy: Callable[[], Trained]) -> None:
    copy = trained_copy()
    path = copy.run / "model" / "model.safetensors"
    header = 8 + int.from_bytes(path.read_bytes()[:8], "little")
    whole = copy.tissu("inspect", "model", "cloth", "--json").json
    path.write_bytes(path.read_bytes()[:header] + b"\xff" * (path.stat().st_size - header))
    assert copy.tissu("inspect", "model", "cloth", "--json").json == whole


def test_a_model_of_another_kind_is_refused(trained_copy: Callable[[], Trained]) -> None:
    copy = trained_copy()
    config = copy.run / "model" / "config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "model_type": "abacus"}))
    assert "abacus" in copy.tissu("inspect", "model").error[0]
    config.unlink()
    result = copy.tissu("inspect", "model", copy.run / "model")
    assert result.code == 3 and "has no config.json" in result.error[0]


def test_many_tensors_are_lines_and_few_are_views(trained_once: Trained) -> None:
    many = trained_once.tissu("inspect", "weights", "**")
    assert many.code == 0
    assert many.out.split()[:3] == ["tensor", "shape", "mean"]
    assert len([line for line in many.out.splitlines() if "█" in line]) == 14
    assert "14 tensors of float32" in many.out
    few = trained_once.tissu("inspect", "weights", "layers.[0-3].*.q_proj")
    assert "norm" in few.out and "█" in few.out


@pytest.mark.parametrize(("bins", "rows"), [(10, 2), (40, 7)])
def test_a_histogram_has_the_size_asked_for(trained_once: Trained, bins: int, rows: int) -> None:
    options = ["inspect", "weights", "lm_head", "--bins", str(bins)]
    (tensor,) = trained_once.tissu(*options, "--json").json["tensors"]
    assert (len(tensor["histogram"]), len(tensor["edges"])) == (bins, bins + 1)
    assert (tensor["edges"][0], tensor["edges"][-1]) == (tensor["min"], tensor["max"])
    drawn = trained_once.tissu(*options, "--rows", str(rows)).out.splitlines()
    chart = [line for line in drawn if set(line.strip()) & set("▁▂▃▄▅▆▇█")]
    assert len(chart) == rows
    assert max(len(line.rstrip()) for line in chart) <= bins + 2


def test_what_is_no_number_is_shown(trained_copy: Callable[[], Trained]) -> None:
    copy = trained_copy()
    folder = copy.run.parent.parent / "odd"
    shutil.copytree(copy.run / "model", folder)
    save_tensors(folder / "model.safetensors", {"a.weight": torch.tensor([1.0, torch.nan, 2.0])})
    drawn = copy.tissu("inspect", "weights", "a", folder)
    assert "NaN 1" in drawn.out
    (tensor,) = copy.tissu("inspect", "weights", "a", folder, "--json").json["tensors"]
    assert (tensor["nans"], tensor["mean"]) == (1, 1.5)


@pytest.mark.parametrize("option", [["--bins", "0"], ["--rows", "many"], ["--bins", "9999"]])
def test_a_size_that_cannot_be_is_refused(trained_once: Trained, option: list[str]) -> None:
    result = trained_once.tissu("inspect", "weights", "lm_head", *option)
    assert result.code == 2
    assert option[0] in result.error[0]


def test_a_view_is_saved_as_pictures(trained_once: Trained, tmp_path: Path) -> None:
    svg, html, png = (tmp_path / f"head.{kind}" for kind in ("svg", "html", "png"))
    pictures = ["--svg", svg, "--html", html, "--png", png]
    drawn = trained_once.tissu("inspect", "weights", "lm_head", *pictures)
    assert drawn.code == 0 and f"drawn: {svg}" in drawn.err
    assert "lm_head" in svg.read_text() and "lm_head" in html.read_text()
    assert png.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    "words",
    [["inspect", "model", "cloth"], ["inspect", "why", "cloth"], ["inspect", "memory", "cloth"]],
)
def test_other_views_are_saved_too(trained_once: Trained, tmp_path: Path, words: list[str]) -> None:
    path = tmp_path / "view.svg"
    drawn = trained_once.tissu(*words, "--svg", path)
    assert drawn.code == 0, drawn.err
    # A line of what the terminal shows, its spaces as those that do not break.
    line = max((row.strip() for row in drawn.out.splitlines()), key=len).split()[0]
    assert line in path.read_text()
