"""Tensors in safetensors files. Nothing here, or anywhere in tissu, reads a pickle."""

from collections.abc import Mapping
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from tissu_core.errors import InputError, ResourceError

_DISK_FULL = ("os error 28", "os error 122", "os error 112")  # ENOSPC, EDQUOT, Windows


def save_tensors(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Write named tensors.

    Raises:
        ResourceError: If the disk is full.
    """
    try:
        save_file(
            {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()},
            path,
            metadata={"format": "pt"},  # what transformers looks for
        )
    except SafetensorError as error:  # the library reports the system's errors as its own
        if any(mark in str(error) for mark in _DISK_FULL):
            raise ResourceError(
                f"the disk is full at {path.parent}",
                safe="every earlier checkpoint",
                hint="free space, then tissu train --resume last",
            ) from error
        raise


def load_tensors(path: Path) -> dict[str, Tensor]:
    """All tensors of a file, on the CPU.

    Raises:
        InputError: If it is no safetensors file.
    """
    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise InputError(
            f"{path} is no whole safetensors file: {error}", hint="use another copy of the model"
        ) from error
