import contextlib
import struct
from pathlib import Path
from random import Random

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.damage import damaged, peak_megabytes
from tissu_core.checkpoint import weights
from tissu_core.checkpoint.weights import list_tensors, load_tensors, save_tensors
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


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("weights") / "model.safetensors"
    sizes = {"embed": (6, 4), "layers.0.norm": (4,), "head": (4, 6)}
    save_tensors(path, {name: torch.randn(size) for name, size in sizes.items()})
    return path.read_bytes()


def read_or_refuse(path: Path, whole: bytes, random: Random) -> bool:
    """Whether what was damaged was read: nothing but an answer may come of it."""
    content = damaged(whole, whole.index(b"}}") + 2, random)
    if random.random() < 0.5:  # its length as it is now, or the rest is not looked at
        header = content[8 : content.rfind(b"}") + 1]
        content = struct.pack("<Q", len(header)) + content[8:]
    path.write_bytes(content)
    with contextlib.suppress(InputError):
        found = list_tensors(path.parent)
        assert sum(stored.num_bytes for stored in found.values()) <= len(content)
        return True
    return False


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("damaged") / "model.safetensors"


@given(st.randoms(use_true_random=True))
@settings(max_examples=1000)
def test_a_damaged_file_is_read_or_refused(place: Path, whole: bytes, random: Random) -> None:
    if read_or_refuse(place, whole, random):
        assert load_tensors(place).keys() == list_tensors(place.parent).keys()


@pytest.mark.slow
@pytest.mark.timeout(3000)
@given(st.randoms(use_true_random=True))
@settings(max_examples=1000)
def test_a_million_damaged_files_are_read_or_refused(
    place: Path, whole: bytes, random: Random
) -> None:
    before = peak_megabytes()
    read = sum(read_or_refuse(place, whole, random) for _ in range(1000))
    assert 0 < read < 1000, "some harms do none, and some do"
    assert peak_megabytes() < before + 64
