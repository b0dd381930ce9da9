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
from tissu_core.storage import read_json

WEIGHTS_FILE = "model.safetensors"
INDEX_FILE = "model.safetensors.index.json"
_ANOTHER = "use another copy of the model"
_POINTER = b"version https://git-lfs.github.com/spec/"
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

    @property
    def loaded_bytes(self) -> int:
        """Its size in memory, where all but whole numbers is fp32."""
        return 4 * math.prod(self.shape) if "F" in self.dtype else self.num_bytes


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
    """All tensors of a file, on the CPU; their numbers are read when they are used.

    Raises:
        InputError: If it is no safetensors file.
    """
    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise _not_whole(path, error) from error


def weight_files(directory: Path) -> list[Path]:
    """The files with a model's weights: one, or the shards that an index names.

    Raises:
        InputError: If there are none, one is missing or it is not in the directory.
    """
    whole, index = directory / WEIGHTS_FILE, directory / INDEX_FILE
    if whole.is_file():
        return [whole]
    if not index.is_file():
        raise InputError(f"{directory} has no {WEIGHTS_FILE}", hint="tissu models list")
    names = sorted({*_read_index(index).values()})
    for name in names:
        if Path(name).name != name:
            raise InputError(
                f"{index} names {name!r}, which is not a file of its directory", hint=_ANOTHER
            )
        if not (directory / name).is_file():
            raise InputError(f"{directory} lacks {name}, which {INDEX_FILE} names", hint=_ANOTHER)
    return [directory / name for name in names]


def _read_index(path: Path) -> dict[str, str]:
    places = read_json(path).get("weight_map") or []  # of no tensors is none
    if not isinstance(places, dict) or not all(isinstance(name, str) for name in places.values()):
        raise InputError(f"{path} has no weight_map from tensors to files", hint=_ANOTHER)
    return places


def list_tensors(directory: Path) -> dict[str, StoredTensor]:
    """The tensors of a model by name, from the headers of its files.

    Raises:
        InputError: If there are no safetensors, a file is not whole, or an index says otherwise.
    """
    found: dict[str, StoredTensor] = {}
    paths = weight_files(directory)
    for path in paths:
        for name, stored in _read_header(path).items():
            if name in found:
                raise InputError(
                    f"{path} holds {name}, and so does {found[name].file.name}", hint=_ANOTHER
                )
            found[name] = stored
    if paths[0].name != WEIGHTS_FILE:
        _check_index(_read_index(directory / INDEX_FILE), found, directory / INDEX_FILE)
    return found


def _check_index(places: dict[str, str], found: dict[str, StoredTensor], index: Path) -> None:
    for name in sorted({*places, *found}):
        stored = found.get(name)
        if stored is None or stored.file.name != places.get(name):
            where = "no file" if stored is None else stored.file.name
            said = places.get(name, "no file")
            raise InputError(f"{index} has {name} in {said}, and it is in {where}", hint=_ANOTHER)


def _read_header(path: Path) -> dict[str, StoredTensor]:
    try:
        # Numpy's way maps nothing into memory, so that a file may be larger than it.
        with safe_open(path, framework="numpy") as file:
            parts = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118
            return {
                name: StoredTensor(path, part.get_dtype(), tuple(part.get_shape()))
                for name, part in parts.items()
            }
    except (SafetensorError, OSError) as error:
        raise _not_whole(path, error) from error


def _not_whole(path: Path, error: Exception) -> InputError:
    if path.is_file():
        with path.open("rb") as file:
            if file.read(len(_POINTER)) == _POINTER:
                return InputError(
                    f"{path} is a Git LFS pointer, {path.stat().st_size} bytes, not the weights",
                    hint="git lfs pull, where the model was cloned",
                )
    return InputError(f"{path} is no whole safetensors file: {error}", hint=_ANOTHER)
