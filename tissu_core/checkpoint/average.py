"""The arithmetic mean of models' weights."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from torch import Tensor

from tissu_core.checkpoint.weights import StoredTensor, list_tensors, read_tensor
from tissu_core.errors import ConfigError


def iter_average(directories: Sequence[Path]) -> Iterator[tuple[str, Tensor, int]]:
    """Name and mean of each tensor over model directories, in the first one's format.

    The number of tensors comes with each. Sums are in fp64. Beside the mean, one tensor of one
    model is in memory at a time.
    Sources: Izmailov et al. 2018, arXiv:1803.05407; Wortsman et al. 2022, arXiv:2203.05482.

    Raises:
        ConfigError: If tensors differ in name or shape, or are quantized.
    """
    models = [list_tensors(directory) for directory in directories]
    for directory, model in zip(directories, models, strict=True):
        _check_alike(model, models[0], directory)
    for name in models[0]:
        yield name, _mean(name, [model[name].file for model in models]), len(models[0])


def _check_alike(
    model: dict[str, StoredTensor], first: dict[str, StoredTensor], directory: Path
) -> None:
    for name in sorted({*model, *first}):
        ours, theirs = model.get(name), first.get(name)
        if ours is None or theirs is None or ours.shape != theirs.shape:
            raise _refused(name, f"{directory} and the first model differ in the tensor {name}")
        if "F" not in ours.dtype:
            raise _refused(name, f"{directory} holds {name} as {ours.dtype}, which has no mean")


def _refused(name: str, message: str) -> ConfigError:
    return ConfigError(message, field=name, hint="name models of one architecture, not quantized")


def _mean(name: str, files: Sequence[Path]) -> Tensor:
    first = read_tensor(files[0], name)
    total = first.to(torch.double, copy=True)
    for file in files[1:]:
        total += read_tensor(file, name).double()
    return (total / len(files)).to(first.dtype)
