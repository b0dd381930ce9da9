import json
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.samples import CPU, make_config, make_model, random_ids
from tissu_core.checkpoint.model_directory import load_model, open_model, write_model_files
from tissu_core.checkpoint.weights import load_tensors
from tissu_core.compress.int8 import quantize_int8
from tissu_core.errors import InputError
from tissu_core.models.decoder import Decoder
from tissu_core.text.tokenizer import Tokenizer

GPT2 = {
    "norm": "layernorm",
    "norm_eps": 1e-5,
    "feed_forward": "gelu_tanh",
    "position_embedding": "learned",
    "qk_norm": False,
    "use_bias": True,
    "num_key_value_heads": 4,
    "max_position_embeddings": 40,
}


@pytest.fixture
def written(tmp_path: Path, tiny_tokenizer: Tokenizer) -> Callable[[Decoder], dict[str, Any]]:
    """Writes all of a model but its weights; returns those by the names of the model's family."""

    def write(model: Decoder) -> dict[str, Any]:
        write_model_files(tmp_path, model, tiny_tokenizer)
        path = tmp_path / "model.safetensors"
        arrays = {name: tensor.numpy() for name, tensor in load_tensors(path).items()}
        path.unlink()
        return arrays

    return write


@pytest.mark.parametrize("changes", [{}, {"tie_word_embeddings": True}, GPT2])
@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize("names", ["the family's", "tissu's"])
def test_a_model_comes_back_with_its_logits_to_the_bit(
    changes: dict[str, Any],
    save: Callable[..., None],
    names: str,
    written: Callable[[Decoder], dict[str, Any]],
    tmp_path: Path,
) -> None:
    model = make_model(make_config(**changes))
    arrays = written(model)
    if names == "tissu's":
        arrays = {name: tensor.numpy() for name, tensor in model.state_dict().items()}
        if model.config.tie_word_embeddings:
            del arrays["lm_head.weight"]
    save(tmp_path / "model.npz", **arrays)
    loaded = load_model(tmp_path / "model.npz", CPU)
    ids = random_ids(2, 30)
    with torch.no_grad():
        assert torch.equal(loaded.model(ids), model(ids))
    assert loaded.end_ids == {0}


def test_int8_weights_come_back(
    written: Callable[[Decoder], dict[str, Any]], tmp_path: Path
) -> None:
    model = make_model(make_config())
    quantize_int8(model)
    np.savez(tmp_path / "model.npz", **written(model))
    ids = random_ids(1, 20)
    with torch.no_grad():
        assert torch.equal(load_model(tmp_path / "model.npz", CPU).model(ids), model(ids))


def test_the_configuration_may_be_inside(
    written: Callable[[Decoder], dict[str, Any]], tmp_path: Path
) -> None:
    model = make_model(make_config())
    arrays = written(model)
    config = (tmp_path / "config.json").read_text()
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "another"}))
    np.savez(tmp_path / "model.npz", **arrays, config=np.array(config))
    assert load_model(tmp_path / "model.npz", CPU).model.config == model.config
    assert open_model(tmp_path / "model.npz").tensors.keys() == arrays.keys()


def test_half_precision_and_foreign_byte_orders_are_read(
    written: Callable[[Decoder], dict[str, Any]], tmp_path: Path
) -> None:
    arrays = written(make_model(make_config()))
    half = {name: array.astype("<f2" if "mlp" in name else ">f4") for name, array in arrays.items()}
    np.savez(tmp_path / "model.npz", **half)
    model = load_model(tmp_path / "model.npz", CPU).model
    for name, tensor in model.state_dict().items():
        assert np.array_equal(tensor.numpy(), half[name].astype(np.float32))


class Trap:
    def __reduce__(self) -> Any:
        return (pytest.fail, ("a pickle was read",))


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"a": np.array([Trap()], dtype=object)}, "a as Python objects, which are a pickle"),
        ({"a": np.array(["text"])}, "holds a as <U4"),
        ({"a": np.ones(2, np.complex64)}, "holds a as complex64"),
        ({"config": np.array(["a", "b"])}, "holds a config of <U1"),
        ({"config": np.array(3)}, "holds a config of int64"),
        ({"config": np.array("{")}, "not JSON"),
        ({"config": np.array("[]")}, "not a JSON object"),
        ({"config": np.array("{}")}, "names no model_type"),
        ({}, "has no config.json"),
        ({"config": np.array([Trap()], dtype=object)}, "config as Python objects"),
    ],
)
def test_arrays_that_are_no_weights_are_refused(
    arrays: dict[str, Any], words: str, tmp_path: Path
) -> None:
    path = tmp_path / "model.npz"
    np.savez(path, **arrays)
    with pytest.raises(InputError, match=words):
        list(open_model(path).tensors) if "a" in arrays else load_model(path, CPU)


def other_size(content: bytes) -> bytes:
    return content.replace(b"(4, 2)", b"(4, 9)")


@pytest.mark.parametrize(
    "harm",
    [
        lambda content: b"",
        lambda content: content[:-30],
        lambda content: content[: len(content) // 2],
        lambda content: b"no zip at all",
        other_size,
        lambda content: content.replace(b"NUMPY", b"NUMMY"),
        lambda content: content.replace(struct.pack("<f", 7.25), struct.pack("<f", 7.5)),
    ],
)
def test_a_damaged_archive_is_refused(harm: Callable[[bytes], bytes], tmp_path: Path) -> None:
    path = tmp_path / "model.npz"
    np.savez(path, a=np.full((4, 2), 7.25, np.float32))
    before = path.read_bytes()
    assert open_model(path).read("a").sum() == 58
    path.write_bytes(harm(before))
    assert path.read_bytes() != before
    with pytest.raises(InputError, match=r"model\.npz"):
        open_model(path).read(next(iter(open_model(path).tensors)))


def test_names_that_are_no_arrays_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("../evil.txt", "x")
    with pytest.raises(InputError, match="evil"):
        list(open_model(path).tensors)
