"""Tensors in safetensors files. Nothing here, or anywhere in tissu, reads a pickle."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from tissu_core.errors import InputError

_SYSTEM_ERROR = re.compile(r"(.*) \(os error (\d+)\)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class StoredTensor:
    """What a file's header says of a tensor."""

    file: Path
    dtype: str
    """As safetensors spells it: F32, BF16, I8."""
    shape: tuple[int, ...]

    @property
    def num_bytes(self) -> int:
        """Its size in the file."""
        bits = re.search(r"\d+", self.dtype)  # BOOL has no number, and takes a byte
        return math.prod(self.shape) * (int(bits[0]) if bits else 8) // 8


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


def read_tensor(path: Path, name: str) -> Tensor:
    """One tensor of a file, on the CPU.

    Raises:
        InputError: If it is no safetensors file.
    """
    try:
        with safe_open(path, framework="pt") as file:
            tensor: Tensor = file.get_tensor(name)
            return tensor
    except (SafetensorError, OSError) as error:
        raise InputError(
            f"{path} is no whole safetensors file: {error}", hint="use another copy of the model"
        ) from error


def list_tensors(directory: Path) -> dict[str, StoredTensor]:
    """The tensors of a model by name, from the headers of its files; optimizer states are left out.

    Raises:
        InputError: If there are no safetensors, or a file is not whole.
    """
    found: dict[str, StoredTensor] = {}
    for path in sorted(directory.glob("*.safetensors")):
        try:
            with safe_open(path, framework="pt") as file:
                for name in file.keys():  # noqa: SIM118
                    part = file.get_slice(name)
                    found[name] = StoredTensor(path, part.get_dtype(), tuple(part.get_shape()))
        except (SafetensorError, OSError) as error:
            raise InputError(
                f"{path} is no whole safetensors file: {error}",
                hint="use another copy of the model",
            ) from error
    found = {name: stored for name, stored in found.items() if "/" not in name}  # not moments
    if not found:
        raise InputError(f"{directory} has no model.safetensors", hint="tissu models list")
    return found
