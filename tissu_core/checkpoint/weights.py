"""Tensors in safetensors files. Nothing here, or anywhere in tissu, reads a pickle."""

import re
from collections.abc import Mapping
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from tissu_core.errors import InputError

_SYSTEM_ERROR = re.compile(r"(.*) \(os error (\d+)\)", re.DOTALL)


def save_tensors(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Write named tensors.

    Raises:
        OSError: If the disk is full, read-only or failing.
    """
    try:
        save_file(
            {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()},
            path,
            metadata={"format": "pt"},  # what transformers looks for
        )
    except SafetensorError as error:  # the library reports the system's errors as its own
        found = _SYSTEM_ERROR.search(str(error))
        if found is None:
            raise
        raise OSError(int(found[2]), found[1].rpartition(": ")[2]) from error


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
