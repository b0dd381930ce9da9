"""Tensors in safetensors files. Nothing here, or anywhere in tissu, reads a pickle."""

import math
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from tissu_core.errors import InputError, ResourceError
from tissu_core.layers.packed import BESIDE
from tissu_core.storage import read_json, refuse_pointer

WEIGHTS_FILE = "model.safetensors"
INDEX_FILE = "model.safetensors.index.json"
WHOLE = ("I8", "I16", "I32", "I64", "U8", "BOOL")
"""Formats that stay as they are in memory; all else becomes fp32."""
_FLOATS = ("F64", "F32", "F16", "BF16", "F8_E4M3", "F8_E5M2")
_ANOTHER = "use another copy of the model"
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
    def num_loaded_bytes(self) -> int:
        """Its size in memory."""
        return self.num_bytes if self.dtype in WHOLE else 4 * math.prod(self.shape)


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


def widened(name: str, tensor: Tensor) -> Tensor:
    """In the numbers it has in memory: fp32, or whole ones and their scales as they are."""
    return tensor.float() if tensor.is_floating_point() and not name.endswith(BESIDE) else tensor


def iter_tensors(path: Path) -> Iterator[tuple[str, Tensor]]:
    """The tensors of a file one by one, on the CPU; their numbers are read when they are used.

    Raises:
        InputError: If it is no safetensors file.
        ResourceError: If the system cannot map it into memory.
    """
    with _opened(path) as file:
        for name in file.keys():  # noqa: SIM118
            yield name, file.get_tensor(name)


def load_tensors(path: Path) -> dict[str, Tensor]:
    """All tensors of a file, as ``iter_tensors`` gives them.

    Raises:
        InputError: If it is no safetensors file.
        ResourceError: If the system cannot map it into memory.
    """
    return dict(iter_tensors(path))


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


def read_tensor(path: Path, name: str) -> Tensor:
    """One tensor of a file, on the CPU.

    Raises:
        InputError: If it is no safetensors file.
        ResourceError: If the system cannot map it into memory.
    """
    with _opened(path) as file:
        tensor: Tensor = file.get_tensor(name)
        return tensor


def list_tensors(directory: Path) -> dict[str, StoredTensor]:
    """The tensors of a model by name, from the headers of its files.

    Raises:
        InputError: If there are no safetensors, a file is not whole or holds what is not read, or
            an index says otherwise.
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
    found = {}
    # Numpy's way maps nothing into memory, so that a file may be larger than it.
    with _opened(path, "numpy") as file:
        for name in file.keys():  # noqa: SIM118
            part = file.get_slice(name)
            found[name] = StoredTensor(path, part.get_dtype(), tuple(part.get_shape()))
    if not found:
        raise InputError(f"{path} holds no tensors", hint=_ANOTHER)
    for name, stored in found.items():
        if stored.dtype not in WHOLE + _FLOATS:
            read = ", ".join(_FLOATS + WHOLE)
            raise InputError(
                f"{path} holds {name} as {stored.dtype}; this version reads {read}", hint=_ANOTHER
            )
    return found


@contextmanager
def _opened(path: Path, framework: str = "pt") -> Iterator[Any]:
    try:
        with safe_open(path, framework=framework) as file:
            yield file
    except (SafetensorError, OSError) as error:
        if path.is_file():
            refuse_pointer(path)
        raise InputError(f"{path} is no whole safetensors file: {error}", hint=_ANOTHER) from error
    except RuntimeError as error:  # torch maps the whole file, which a system may refuse
        raise ResourceError(f"cannot read {path}: {error}", hint="use a smaller model") from error
