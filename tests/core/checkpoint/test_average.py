import weakref
from pathlib import Path

import pytest
import torch

from tissu_core.checkpoint import average
from tissu_core.checkpoint.average import iter_average
from tissu_core.checkpoint.weights import save_tensors
from tissu_core.errors import ConfigError


def average_tensors(folders: list[Path]) -> dict[str, torch.Tensor]:
    return {name: mean for name, mean, _ in iter_average(folders)}


def write(tmp_path: Path, name: str, **tensors: torch.Tensor) -> Path:
    folder = tmp_path / name
    folder.mkdir()
    save_tensors(folder / "model.safetensors", tensors)
    return folder


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_it_is_the_arithmetic_mean(tmp_path: Path, dtype: torch.dtype) -> None:
    parts = [torch.randn(40, 30).to(dtype) for _ in range(5)]
    folders = [write(tmp_path, str(i), w=part) for i, part in enumerate(parts)]
    (mean,) = average_tensors(folders).values()
    assert torch.equal(mean, torch.stack(parts).double().mean(0).to(dtype))


def test_the_first_gives_the_format(tmp_path: Path) -> None:
    folders = [
        write(tmp_path, "a", w=torch.ones(3, dtype=torch.bfloat16)),
        write(tmp_path, "b", w=torch.full((3,), 2.0)),
    ]
    assert average_tensors(folders)["w"].dtype == torch.bfloat16
    assert average_tensors(folders[::-1])["w"].tolist() == [1.5] * 3


def test_optimizer_states_are_left_out(tmp_path: Path) -> None:
    folders = [write(tmp_path, name, w=torch.ones(2)) for name in "ab"]
    save_tensors(folders[0] / "optimizer.safetensors", {"w/exp_avg": torch.ones(2)})
    assert list(average_tensors(folders)) == ["w"]


def test_few_tensors_are_in_memory_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folders = [
        write(tmp_path, str(i), **{f"w{n}": torch.randn(8) for n in range(10)}) for i in range(4)
    ]
    read, alive, most = average.read_tensor, weakref.WeakSet(), []

    def counted(path: Path, name: str) -> torch.Tensor:
        tensor = read(path, name)
        alive.add(tensor)
        most.append(len(alive))
        return tensor

    monkeypatch.setattr(average, "read_tensor", counted)
    average_tensors(folders)
    assert len(most) == 40
    assert max(most) <= 3, "the first's tensor, the next one's, and one that is being let go"


@pytest.mark.parametrize(
    ("other", "words"),
    [
        ({"w": torch.ones(3)}, "tensor w"),
        ({"w": torch.ones(2), "x": torch.ones(2)}, "tensor x"),
        ({"v": torch.ones(2)}, "tensor v"),
        ({"w": torch.ones(2, dtype=torch.int8)}, "holds w as I8"),
    ],
)
def test_what_has_no_mean_is_refused(
    tmp_path: Path, other: dict[str, torch.Tensor], words: str
) -> None:
    folders = [write(tmp_path, "a", w=torch.ones(2)), write(tmp_path, "b", **other)]
    with pytest.raises(ConfigError, match=words):
        average_tensors(folders)
