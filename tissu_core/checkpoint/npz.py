"""A model as named arrays in a ``.npz``, the archive that ``numpy.savez`` writes.

The arrays have the names and layouts of a ``model.safetensors`` of the model's family, or tissu's
own (``model.layers.0.self_attn.q_proj.weight``, matrices as outputs x inputs). An array of one
string named ``config`` is the text of ``config.json``; without it, that file lies beside the
archive, as the tokenizer's files and ``generation_config.json`` do. Arrays of Python objects, which
numpy keeps as pickles, are refused by their headers.
"""

import json
import math
import zipfile
import zlib
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import IO, Any

import numpy as np
import torch
from numpy.lib import format as npy
from numpy.typing import NDArray
from torch import Tensor

from tissu_core.checkpoint.stored_model import StoredModel
from tissu_core.checkpoint.weights import WEIGHTS_FILE, StoredTensor, load_tensors, widened
from tissu_core.errors import InputError
from tissu_core.events.shared import Noticed
from tissu_core.models.families import family_of
from tissu_core.storage import refuse_pointer
from tissu_core.text.tokenizer import Tokenizer

_CONFIG = "config"
_SUFFIX = ".npy"
_READ = ("f", "i", "u")
"""numpy's letters for kinds of numbers: floats, and the whole ones of packed models."""
_WIDEST = 8
"""Bytes of a number: numpy's long doubles have up to 16, and torch has none."""
_DAMAGES = (OSError, ValueError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error)
"""What reading a damaged archive raises; RuntimeError where it is encrypted or packed otherwise."""
_LONGEST_CONFIG = 1 << 20


@dataclass(frozen=True)
class NpzModel:
    """The model in an archive of arrays."""

    path: Path
    beside: StoredModel
    """The directory the archive lies in."""

    @cached_property
    def table(self) -> dict[str, Any]:
        """Of the archive, else of its directory."""
        if _CONFIG not in self._headers:
            return self.beside.table
        shape, dtype = self._headers[_CONFIG]
        if math.prod(shape) != 1 or dtype.kind != "U" or dtype.itemsize > _LONGEST_CONFIG:
            raise self._refusal(f"holds a config of {dtype} {shape}, and it is one string")
        try:
            table = json.loads(str(self._array(_CONFIG).item()))
        except ValueError as error:
            raise self._refusal(f"holds a config that is not JSON ({error})") from error
        if not isinstance(table, dict):
            raise self._refusal("holds a config that is not a JSON object")
        return table

    @cached_property
    def tensors(self) -> dict[str, StoredTensor]:
        """The arrays but the configuration."""
        found = {}
        for name, (shape, dtype) in self._headers.items():
            if name == _CONFIG:
                continue
            if dtype.kind not in _READ or dtype.itemsize > _WIDEST:
                raise self._refusal(f"holds {name} as {dtype}; floats and whole numbers are read")
            spelled = f"{dtype.kind.upper()}{8 * dtype.itemsize}"
            found[name] = StoredTensor(self.path, spelled, shape)
        return found

    def read(self, name: str) -> Tensor:
        """One array."""
        array = self._array(name)
        return torch.from_numpy(array.astype(array.dtype.newbyteorder("="), copy=False))

    def iter_load(self) -> Generator[int, None, dict[str, Tensor]]:
        """All arrays, under the family's names and layouts; yields the bytes of each."""
        tensors = {}
        for name, stored in self.tensors.items():
            tensors[name] = widened(name, self.read(name))
            yield stored.num_bytes
        is_tissus = "model.embed_tokens.weight" in tensors
        return family_of(self.table).to_file(tensors) if is_tissus else tensors

    def notices(self) -> tuple[Noticed, ...]:
        """What its family tells of its arrays."""
        return family_of(self.table).notices(self.tensors)

    def end_ids(self) -> Iterable[int]:
        """Those that the directory's ``generation_config.json`` names."""
        return self.beside.end_ids()

    def load_tokenizer(self) -> Tokenizer:
        """The one beside it."""
        return self.beside.load_tokenizer()

    @cached_property
    def _headers(self) -> dict[str, tuple[tuple[int, ...], "np.dtype[Any]"]]:
        """Shape and type of every array, which together say its size."""
        found: dict[str, tuple[tuple[int, ...], np.dtype[Any]]] = {}
        with self._archive() as archive:
            for info in archive.infolist():
                name = info.filename.removesuffix(_SUFFIX)
                if name in found or not info.filename.endswith(_SUFFIX):
                    raise self._refusal(f"holds {info.filename!r}, which is no array of its own")
                with archive.open(info) as file:
                    shape, dtype = _read_header(file)
                    if dtype.hasobject:
                        raise self._refusal(f"holds {name} as Python objects, which are a pickle")
                    if file.tell() + math.prod(shape) * dtype.itemsize != info.file_size:
                        raise self._refusal(f"holds {name} in another size than it says")
                found[name] = shape, dtype
        return found

    def _array(self, name: str) -> NDArray[Any]:
        with self._archive() as archive, archive.open(name + _SUFFIX) as file:
            array: NDArray[Any] = npy.read_array(file, allow_pickle=False)
            file.read(1)  # at the end the archive's checksum is compared
            return array

    @contextmanager
    def _archive(self) -> Iterator[zipfile.ZipFile]:
        try:
            with zipfile.ZipFile(self.path) as archive:
                yield archive
        except _DAMAGES as error:
            refuse_pointer(self.path)
            raise self._refusal(f"is no whole .npz archive: {error}") from error

    def _refusal(self, what: str) -> InputError:
        return InputError(f"{self.path} {what}", hint="use another copy of the model")


def write_npz(directory: Path) -> None:
    """Turn a directory's ``model.safetensors`` and ``config.json`` into one ``model.npz``.

    Raises:
        OSError: If the disk is full, read-only or failing.
    """
    weights, config = directory / WEIGHTS_FILE, directory / "config.json"
    arrays: dict[str, Any] = {name: t.numpy() for name, t in load_tensors(weights).items()}
    arrays[_CONFIG] = np.array(config.read_text("utf-8"))
    with (directory / "model.npz").open("wb") as file:
        np.savez(file, **arrays)
    weights.unlink()
    config.unlink()


def _read_header(file: IO[bytes]) -> tuple[tuple[int, ...], "np.dtype[Any]"]:
    version = npy.read_magic(file)
    read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    shape, _, dtype = read(file)
    return tuple(shape), dtype
