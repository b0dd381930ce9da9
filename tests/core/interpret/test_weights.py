from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from torch import Tensor

from tests.samples import make_config, make_model
from tissu_core.checkpoint.weights import save_tensors
from tissu_core.errors import ConfigError, InputError
from tissu_core.events import TensorSummarized
from tissu_core.interpret import weights
from tissu_core.interpret.weights import HISTOGRAM_BINS, match_names, summarize

NAMES = sorted(make_model(make_config(num_hidden_layers=12)).state_dict())
ATTENTION = ("k_norm", "k_proj", "o_proj", "q_norm", "q_proj", "v_proj")


def summary(tmp_path: Path, tensor: Tensor) -> TensorSummarized:
    save_tensors(tmp_path / "model.safetensors", {"only": tensor})
    (found,) = summarize(tmp_path, "only")
    return found


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("layer.0.attn", [f"model.layers.0.self_attn.{part}.weight" for part in ATTENTION]),
        ("layers.0.self_attn.q_proj", ["model.layers.0.self_attn.q_proj.weight"]),
        (
            "layers/0/self_attn/q",
            [f"model.layers.0.self_attn.q_{x}.weight" for x in ("norm", "proj")],
        ),
        ("h.3.ffn.down", ["model.layers.3.mlp.down_proj.weight"]),
        ("0.mlp.gate", ["model.layers.0.mlp.gate_proj.weight"]),
        ("embed", ["model.embed_tokens.weight"]),
        ("wte", ["model.embed_tokens.weight"]),
        ("head", ["lm_head.weight"]),
        (" .model.norm. ", ["model.norm.weight"]),
    ],
)
def test_people_may_name_a_tensor_as_they_call_it(query: str, expected: list[str]) -> None:
    assert match_names(query, NAMES) == expected


def test_a_number_is_a_whole_number() -> None:
    found = match_names("layer.1", NAMES)
    assert found and all(name.startswith("model.layers.1.") for name in found)


def test_layers_are_in_the_order_of_their_numbers() -> None:
    found = match_names("mlp.up", NAMES)
    assert found == [f"model.layers.{layer}.mlp.up_proj.weight" for layer in range(12)]


@pytest.mark.parametrize(
    ("query", "nearest"),
    [
        ("layer.12.mlp", "layers.2.mlp"),
        ("layers.0.self_atn.q_proj", "layers.0.self_attn.q_proj"),
        ("lm_haed", "lm_head"),
        ("0.up", "layers.0.mlp.up_proj"),
        ("", "embed_tokens"),
    ],
)
def test_what_matches_nothing_is_answered_with_the_nearest(query: str, nearest: str) -> None:
    with pytest.raises(ConfigError) as caught:
        match_names(query, NAMES)
    offered = caught.value.hint.removeprefix("did you mean ").removesuffix("?").split(" or ")
    assert nearest in offered
    assert all(match_names(path, NAMES) for path in offered), "a hint can be typed"


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_statistics_are_torchs(tmp_path: Path, dtype: torch.dtype) -> None:
    tensor = torch.randn(30, 20).to(dtype)
    tensor[0, :3] = 0
    found, exact = summary(tmp_path, tensor), tensor.double()
    assert (found.name, found.shape, found.dtype) == ("only", (30, 20), str(dtype)[6:])
    assert (found.min, found.max, found.zeros) == (exact.min(), exact.max(), 3)
    assert found.mean == pytest.approx(exact.mean().item())
    assert found.std == pytest.approx(exact.var(correction=0).sqrt().item())
    assert found.norm == pytest.approx(exact.square().sum().sqrt().item())
    assert (len(found.histogram), sum(found.histogram)) == (HISTOGRAM_BINS, tensor.numel())


def test_bins_are_equal_and_the_last_holds_the_maximum(tmp_path: Path) -> None:
    steps = torch.cat([torch.arange(HISTOGRAM_BINS) + 0.5, torch.tensor([0.0, HISTOGRAM_BINS])])
    found = summary(tmp_path, steps)
    assert found.histogram == (2, *[1] * (HISTOGRAM_BINS - 2), 2)


@pytest.mark.parametrize("value", [0.0, -2.5])
@pytest.mark.parametrize("shape", [(), (7,)])
def test_a_tensor_of_one_value_has_one_bin(
    tmp_path: Path, value: float, shape: tuple[int, ...]
) -> None:
    found = summary(tmp_path, torch.full(shape, value))
    size = torch.Size(shape).numel()
    assert (found.min, found.max, found.mean, found.std) == (value, value, value, 0.0)
    assert (found.histogram, found.zeros) == ((size,), size if value == 0 else 0)


def test_only_tensors_that_match_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parts = {name: torch.randn(2, 2) for name in ("layers.0.mlp.up", "layers.1.mlp.up", "norm")}
    save_tensors(tmp_path / "model-1.safetensors", {"layers.0.mlp.up": parts["layers.0.mlp.up"]})
    save_tensors(
        tmp_path / "model-2.safetensors", parts | {"layers.1.mlp.up/exp_avg": torch.ones(1)}
    )
    read: list[str] = []

    class Spy:
        def __init__(self, path: Path, framework: str) -> None:
            self._file = safe_open(path, framework=framework)

        def __enter__(self) -> "Spy":
            return self

        def __exit__(self, *_: object) -> None:
            self._file.__exit__(None, None, None)

        def keys(self) -> list[str]:
            return list(self._file.keys())

        def get_tensor(self, name: str) -> Any:
            read.append(name)
            return self._file.get_tensor(name)

    monkeypatch.setattr(weights, "safe_open", Spy)
    summaries = summarize(tmp_path, "layer.1")
    assert next(summaries).name == "layers.1.mlp.up"
    assert list(summaries) == [] and read == ["layers.1.mlp.up"], "no moments, no other layer"


def test_tensors_of_all_files_are_found(tmp_path: Path) -> None:
    for layer in (1, 0):
        file = tmp_path / f"model-{2 - layer}.safetensors"
        save_tensors(file, {f"layers.{layer}.up": torch.full((2,), float(layer))})
    assert [(s.name, s.mean) for s in summarize(tmp_path, "layers")] == [
        ("layers.0.up", 0.0),
        ("layers.1.up", 1.0),
    ]


def test_a_directory_without_weights_or_with_half_a_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no model\.safetensors"):
        list(summarize(tmp_path, "norm"))
    path = tmp_path / "model.safetensors"
    save_tensors(path, {"norm": torch.ones(100)})
    path.write_bytes(path.read_bytes()[:-50])
    with pytest.raises(InputError, match="no whole safetensors"):
        list(summarize(tmp_path, "norm"))
