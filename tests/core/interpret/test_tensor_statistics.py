import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy
import pytest
import torch
from safetensors import safe_open
from torch import Tensor

from tests.samples import make_config, make_model
from tissu_core.checkpoint.directory_model import DirectoryModel
from tissu_core.checkpoint.weights import save_tensors
from tissu_core.errors import ConfigError, InputError
from tissu_core.events.tensors import TensorSummarized
from tissu_core.interpret.tensors import reading as tensor_reading
from tissu_core.interpret.tensors.names import match_names
from tissu_core.interpret.tensors.reading import TensorReader
from tissu_core.interpret.tensors.summaries import Wanted, summarize

NAMES = sorted(make_model(make_config(num_hidden_layers=12)).state_dict())
BINS = 48
ATTENTION = ("q_proj", "k_proj", "v_proj", "q_norm", "k_norm", "o_proj")


def in_directory(folder: Path, query: str) -> Iterator[TensorSummarized]:
    return summarize(TensorReader(DirectoryModel(folder)), query, Wanted(bins=BINS))


def summary(tmp_path: Path, tensor: Tensor) -> TensorSummarized:
    save_tensors(tmp_path / "model.safetensors", {"only": tensor})
    (found,) = in_directory(tmp_path, "only")
    return found


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("layer.0.attn", [f"model.layers.0.self_attn.{part}.weight" for part in ATTENTION]),
        ("layers.0.self_attn.q_proj", ["model.layers.0.self_attn.q_proj.weight"]),
        (
            "layers/0/self_attn/q",
            [f"model.layers.0.self_attn.q_{x}.weight" for x in ("proj", "norm")],
        ),
        ("h.3.ffn.down", ["model.layers.3.mlp.down_proj.weight"]),
        ("0.mlp.gate", ["model.layers.0.mlp.gate_proj.weight"]),
        ("embed", ["model.embed_tokens.weight"]),
        ("wte", ["model.embed_tokens.weight"]),
        ("head", ["lm_head.weight"]),
        (
            "layers.0.attn.{v,q}_proj",
            [f"model.layers.0.self_attn.{x}_proj.weight" for x in "qv"],
        ),
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
    assert (len(found.histogram), sum(found.histogram)) == (BINS, tensor.numel())


def test_bins_are_equal_and_the_last_holds_the_maximum(tmp_path: Path) -> None:
    steps = torch.cat([torch.arange(BINS) + 0.5, torch.tensor([0.0, BINS])])
    found = summary(tmp_path, steps)
    assert found.histogram == (2, *[1] * (BINS - 2), 2)


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
    save_tensors(tmp_path / "model.safetensors", parts)
    save_tensors(tmp_path / "optimizer.safetensors", {"layers.1.mlp.up/exp_avg": torch.ones(1)})
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

        def get_slice(self, name: str) -> Any:
            return self._file.get_slice(name)

        def get_tensor(self, name: str) -> Any:
            read.append(name)
            return self._file.get_tensor(name)

    monkeypatch.setattr("tissu_core.checkpoint.weights.safe_open", Spy)
    summaries = in_directory(tmp_path, "layer.1")
    assert next(summaries).name == "layers.1.mlp.up"
    assert list(summaries) == [] and read == ["layers.1.mlp.up"], "no moments, no other layer"


def test_tensors_of_all_files_are_found(tmp_path: Path) -> None:
    places = {f"layers.{layer}.up": f"model-{2 - layer}.safetensors" for layer in (1, 0)}
    for name, file in places.items():
        save_tensors(tmp_path / file, {name: torch.full((2,), float(name[7]))})
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": places}))
    assert [(s.name, s.mean) for s in in_directory(tmp_path, "layers")] == [
        ("layers.0.up", 0.0),
        ("layers.1.up", 1.0),
    ]


def test_a_directory_without_weights_or_with_half_a_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no model\.safetensors"):
        list(in_directory(tmp_path, "norm"))
    path = tmp_path / "model.safetensors"
    save_tensors(path, {"norm": torch.ones(100)})
    path.write_bytes(path.read_bytes()[:-50])
    with pytest.raises(InputError, match="no whole safetensors"):
        list(in_directory(tmp_path, "norm"))


GPT2 = ["wte.weight", "wpe.weight", "ln_f.weight"] + [
    f"h.{layer}.{part}"
    for layer in range(12)
    for part in ("ln_1.bias", "attn.c_attn.weight", "attn.c_proj.weight", "mlp.c_fc.weight")
]
MPT = [
    f"transformer.blocks.{layer}.{part}.weight"
    for layer in range(12)
    for part in ("norm_1", "attn.Wqkv", "attn.out_proj", "ffn.up_proj", "ffn.down_proj")
]


@pytest.mark.parametrize(
    ("query", "names", "expected"),
    [
        ("layers.3.self_attn.q_proj", GPT2, ["h.3.attn.c_attn.weight"]),
        ("layer.3.mlp.up", GPT2, ["h.3.mlp.c_fc.weight"]),
        ("embed_tokens", GPT2, ["wte.weight"]),
        ("layers.*.attn.o", GPT2, [f"h.{layer}.attn.c_proj.weight" for layer in range(12)]),
        ("layers.11.mlp.down", MPT, ["transformer.blocks.11.ffn.down_proj.weight"]),
        ("h.0.attn.c_attn", MPT, ["transformer.blocks.0.attn.Wqkv.weight"]),
        ("h.0.attn.c_attn", NAMES, [f"model.layers.0.self_attn.{x}_proj.weight" for x in "qkv"]),
        ("blocks.0.ffn.gate", NAMES, ["model.layers.0.mlp.gate_proj.weight"]),
    ],
)
def test_names_of_one_family_find_those_of_another(
    query: str, names: list[str], expected: list[str]
) -> None:
    assert match_names(query, names) == expected


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("layers.*.mlp.up*", [f"model.layers.{n}.mlp.up_proj.weight" for n in range(12)]),
        ("*.norm", ["model.norm.weight"]),
        ("layers.1?.mlp.up", [f"model.layers.{n}.mlp.up_proj.weight" for n in (10, 11)]),
        ("layers.[9-10].mlp.up", [f"model.layers.{n}.mlp.up_proj.weight" for n in (9, 10)]),
        ("layers.[0-1].attn.q_norm", [f"model.layers.{n}.self_attn.q_norm.weight" for n in (0, 1)]),
        ("model.**.q_norm", [f"model.layers.{n}.self_attn.q_norm.weight" for n in range(12)]),
        ("layer.7.**.down", ["model.layers.7.mlp.down_proj.weight"]),
    ],
)
def test_stars_and_ranges_stand_for_many(query: str, expected: list[str]) -> None:
    assert match_names(query, NAMES) == expected


def test_two_stars_are_everything() -> None:
    assert sorted(match_names("**", NAMES)) == NAMES


def test_what_is_no_number_is_counted_and_left_out(tmp_path: Path) -> None:
    found = summary(tmp_path, torch.tensor([1.0, torch.nan, 3.0, torch.inf, -torch.inf, 0.0]))
    assert (found.nans, found.infs, found.zeros) == (1, 2, 1)
    assert (found.min, found.max, found.mean) == (0.0, 3.0, pytest.approx(4 / 3))
    nothing = summary(tmp_path, torch.full((3,), torch.nan))
    assert (nothing.nans, nothing.mean, nothing.histogram, nothing.edges) == (3, 0.0, (), ())


def test_edges_bound_the_bins(tmp_path: Path) -> None:
    values = torch.randn(5000)
    found = summary(tmp_path, values)
    counts, edges = numpy.histogram(values.double().numpy(), BINS)
    assert found.histogram == tuple(counts)
    assert found.edges == pytest.approx(edges.tolist())


def test_parts_of_a_large_tensor_add_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tensor = torch.randn(30, 20)
    whole = summary(tmp_path, tensor)
    monkeypatch.setattr(tensor_reading, "PART", 7)
    parts = summary(tmp_path, tensor)
    assert parts.histogram == whole.histogram
    assert (parts.mean, parts.std, parts.norm) == pytest.approx((whole.mean, whole.std, whole.norm))
