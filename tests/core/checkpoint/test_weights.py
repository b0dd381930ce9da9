from pathlib import Path

import pytest
import torch

from tissu_core.checkpoint import weights
from tissu_core.checkpoint.weights import load_tensors, save_tensors
from tissu_core.errors import InputError, ResourceError
from tissu_core.storage import sealed_directory


def test_tensors_round_trip_to_the_bit(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    tensors = {
        "a": torch.randn(3, 4),
        "transposed": torch.randn(3, 4).T,
        "half": torch.randn(5).bfloat16(),
        "scalar": torch.tensor(float("nan")),
        "empty": torch.empty(0, 2),
    }
    save_tensors(path, tensors)
    found = load_tensors(path)
    assert found.keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert found[name].dtype == tensor.dtype
        torch.testing.assert_close(found[name], tensor, rtol=0, atol=0, equal_nan=True)


def test_views_of_one_tensor_are_saved(tmp_path: Path) -> None:
    stacked = torch.randn(3, 4, 4)
    save_tensors(tmp_path / "x.safetensors", {str(i): stacked[i] for i in range(3)})
    assert torch.equal(load_tensors(tmp_path / "x.safetensors")["2"], stacked[2])


@pytest.mark.parametrize("keep", [0, 4, 60, -1])
def test_a_cut_file_is_refused(tmp_path: Path, keep: int) -> None:
    path = tmp_path / "x.safetensors"
    save_tensors(path, {"a": torch.randn(30)})
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(InputError, match=r"x\.safetensors"):
        load_tensors(path)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"x\.safetensors"):
        load_tensors(tmp_path / "x.safetensors")


@pytest.mark.parametrize(
    ("reported", "number"),
    [
        ("I/O error: No space left on device (os error 28)", 28),
        ('I/O error: Input/output error (os error 5) at path "/runs/.tmpX"', 5),
    ],
)
def test_what_the_system_said_is_an_os_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reported: str, number: int
) -> None:
    def fail(*args: object, **kwargs: object) -> None:
        raise weights.SafetensorError(f"Error while serializing: {reported}")

    monkeypatch.setattr(weights, "save_file", fail)
    with pytest.raises(OSError, match=r"No space left|Input/output") as caught:
        save_tensors(tmp_path / "x.safetensors", {"a": torch.zeros(1)})
    assert caught.value.errno == number
    with pytest.raises(ResourceError), sealed_directory(tmp_path / "sealed", {}) as temporary:
        save_tensors(temporary / "x.safetensors", {"a": torch.zeros(1)})
    assert not any(tmp_path.iterdir())
