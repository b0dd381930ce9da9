"""``tissu export onnx|pt2|torchscript|manifest``: other programs compute what tissu does."""

import importlib.resources
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import jsonschema
import numpy as np
import onnxruntime
import pytest
import torch

from tests.end_to_end.conftest import Trained
from tests.samples import CPU
from tissu_core.checkpoint.model_directory import load_model

Copy = Callable[[], Trained]
CASES = [(1, 1), (2, 7), (3, 31)]
"""Rows and tokens."""


@pytest.fixture
def trained(trained_copy: Copy) -> Trained:
    return trained_copy()


@pytest.fixture
def exported(trained: Trained, tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    path = tmp_path / "out" / f"cloth.{request.param}"
    path.parent.mkdir()
    result = trained.tissu("export", request.param, "cloth", "-o", path)
    assert result.code == 0, result.err
    assert sorted(path.parent.iterdir()) == [path]
    return path


def expected(trained: Trained, ids: torch.Tensor) -> torch.Tensor:
    model = load_model(trained.run / "model", CPU).model
    with torch.no_grad():
        return model(ids)


def cases(trained: Trained) -> list[tuple[torch.Tensor, torch.Tensor]]:
    generator = torch.Generator().manual_seed(0)
    texts = [torch.randint(200, size, generator=generator) for size in CASES]
    return [(ids, expected(trained, ids)) for ids in texts]


def empty_past(trained: Trained, rows: int) -> torch.Tensor:
    config = load_model(trained.run / "model", CPU).model.config
    heads, size = config.num_key_value_heads, config.head_dim
    return torch.zeros(config.num_hidden_layers, 2, rows, heads, 0, size)


@pytest.mark.parametrize("exported", ["onnx"], indirect=True)
def test_onnxruntime_computes_the_same_with_and_without_a_past(
    trained: Trained, exported: Path
) -> None:
    session = onnxruntime.InferenceSession(str(exported), providers=["CPUExecutionProvider"])
    for ids, logits in cases(trained):
        past = empty_past(trained, len(ids)).numpy()
        parts = []
        for part in torch.split(ids, [ids.shape[1] - 1, 1], dim=1) if ids.shape[1] > 1 else [ids]:
            found, past = session.run(None, {"input_ids": part.numpy(), "past": past})
            parts.append(found)
        np.testing.assert_allclose(np.concatenate(parts, 1), logits.numpy(), atol=1e-4)


READ = """
import sys, torch
sys.modules["tissu_core"] = None
kind, path, inputs, out = sys.argv[1:]
ids, past = torch.load(inputs, weights_only=True)
run = torch.export.load(path).module() if kind == "pt2" else torch.jit.load(path)
with torch.no_grad():
    first, known = run(ids[:, :-1], past)
    second, _ = run(ids[:, -1:], known)
torch.save(torch.cat([first, second], 1), out)
"""


@pytest.mark.parametrize("exported", ["pt2", "torchscript"], indirect=True)
def test_torch_computes_the_same_without_tissu(
    trained: Trained, exported: Path, tmp_path: Path
) -> None:
    for ids, logits in cases(trained)[1:]:
        inputs, out = tmp_path / "inputs.pt", tmp_path / "result.pt"
        torch.save((ids, empty_past(trained, len(ids))), inputs)
        kind = exported.suffix[1:]
        subprocess.run([sys.executable, "-c", READ, kind, exported, inputs, out], check=True)
        torch.testing.assert_close(torch.load(out, weights_only=True), logits, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("exported", ["manifest"], indirect=True)
def test_the_manifest_is_what_its_schema_says(trained: Trained, exported: Path) -> None:
    found = json.loads(exported.read_text())
    schema = importlib.resources.files("tissu_core.export") / "manifest.schema.json"
    jsonschema.validate(found, json.loads(schema.read_text("utf-8")))
    weights = load_model(trained.run / "model", CPU).model.state_dict()
    assert {t["name"]: tuple(t["shape"]) for t in found["tensors"]} == {
        name: tuple(tensor.shape) for name, tensor in weights.items()
    }
    known = {*found["inputs"], *(node["name"] for node in found["operations"])}
    assert len(known) == len(found["operations"]) + 2


def test_what_is_there_is_left_alone(trained: Trained, tmp_path: Path) -> None:
    there = tmp_path / "there.pt2"
    there.write_bytes(b"mine")
    result = trained.tissu("export", "pt2", "cloth", "-o", there)
    assert (result.code, there.read_bytes()) == (2, b"mine")
    assert trained.tissu("export", "onnx", "cloth", "-o", tmp_path).code == 2
