"""A GGUF file by what its header says: facts about the model, and where its tensors lie.

Nothing is believed before it is checked against the file's size, so that a damaged or forged header
costs neither time nor memory. Imports no torch.
Source: github.com/ggml-org/ggml, ``docs/gguf.md``.
"""

import math
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tissu_core.checkpoint.gguf.blocks import BLOCK_TYPES, OTHER_TYPES, BlockType, dequantize
from tissu_core.checkpoint.gguf.cursor import U32, Cursor
from tissu_core.errors import InputError
from tissu_core.storage import refuse_pointer

_MAGIC = b"GGUF"
_VERSIONS = (2, 3)
_MOST_KEYS = _MOST_TENSORS = 1 << 16
_LONGEST_NAME = 1 << 10
_MOST_DIMENSIONS = 4
_MOST_IN_DIMENSION = 1 << 40
_ALIGNMENT = "general.alignment"
_DEFAULT_ALIGNMENT = 32
_MOST_ALIGNMENT = 1 << 20


@dataclass(frozen=True, slots=True)
class GgufTensor:
    """Where a tensor lies, and how its rows are packed."""

    kind: BlockType
    shape: tuple[int, ...]
    """Rows first, the reverse of the file's order."""
    offset: int
    """From the file's beginning, in bytes."""

    @property
    def dtype(self) -> str:
        """As GGUF spells it: F32, Q4_K."""
        return self.kind.name

    @property
    def num_bytes(self) -> int:
        """Its size in the file."""
        return self.kind.size(self.shape)

    @property
    def num_loaded_bytes(self) -> int:
        """Its size in memory: of a packed matrix the numbers and two fp32 for each run."""
        count = math.prod(self.shape)
        if not self.is_packed_matrix:
            return 4 * count
        return count * self.kind.bits // 8 + 8 * count // self.kind.run

    @property
    def is_packed_matrix(self) -> bool:
        """Whether it stays packed in memory."""
        return self.kind.runs is not None and len(self.shape) == 2


@dataclass(frozen=True, slots=True, kw_only=True)
class GgufFile:
    """A file that is read where it lies: of its tensors come into memory those that are asked."""

    path: Path
    metadata: dict[str, Any]
    tensors: dict[str, GgufTensor]
    """By the names in the file."""
    data: NDArray[np.uint8]

    def packed(self, tensor: GgufTensor) -> NDArray[np.uint8]:
        """A tensor's rows as they are packed: (rows, bytes of a row)."""
        content = self.data[tensor.offset : tensor.offset + tensor.num_bytes]
        return content.reshape(math.prod(tensor.shape[:-1]), -1)

    def values(self, tensor: GgufTensor) -> NDArray[np.float32]:
        """A tensor in fp32."""
        return dequantize(tensor.kind, self.packed(tensor)).reshape(tensor.shape)


def is_gguf(path: Path) -> bool:
    """Whether a file is one by its name or its first bytes: Ollama's have no such name."""
    if not path.is_file():
        return False
    if path.suffix:
        return path.suffix == ".gguf"
    with path.open("rb") as file:
        return file.read(len(_MAGIC)) == _MAGIC


def read_gguf(path: Path) -> GgufFile:
    """The header of a GGUF file.

    Raises:
        InputError: If it is no GGUF file, of a version or with types this version does not read,
            or says what cannot be; names the field, its value, what is allowed and the byte.
    """
    if not path.stat().st_size:
        raise InputError(f"{path} is empty", hint="use another copy of the model")
    refuse_pointer(path)
    return parse_gguf(path, np.memmap(path, np.uint8, "r"))


def parse_gguf(path: Path, data: NDArray[np.uint8]) -> GgufFile:
    """``read_gguf`` of a file whose bytes are ``data``."""
    cursor = Cursor(path, data)
    _check_kind(cursor, bytes(data[:8]))
    num_tensors = cursor.count("n_tensors", 0, _MOST_TENSORS)
    num_keys = cursor.count("n_kv", 0, _MOST_KEYS)
    metadata: dict[str, Any] = {}
    for number in range(num_keys):
        at, key = cursor.at, cursor.text(f"key {number}", 1, _LONGEST_NAME)
        if key in metadata:
            raise cursor.refusal(f"key {number}", repr(key), "a name of its own", at)
        metadata[key] = cursor.value(key)
    tensors: dict[str, GgufTensor] = {}
    for number in range(num_tensors):
        at, name = cursor.at, cursor.text(f"the name of tensor {number}", 1, _LONGEST_NAME)
        if name in tensors:
            raise cursor.refusal(f"tensor {number}", repr(name), "a name of its own", at)
        tensors[name] = _read_tensor(cursor, name)
    placed = _place(cursor, metadata, tensors, len(data))
    return GgufFile(path=path, metadata=metadata, tensors=placed, data=data)


def _check_kind(cursor: Cursor, head: bytes) -> None:
    cursor.at = len(_MAGIC)
    if head[:4] != _MAGIC:
        raise cursor.refusal("magic", repr(head[:4]), repr(_MAGIC), 0)
    at, version = cursor.at, cursor.number("version", U32)
    if version in _VERSIONS:
        return
    if int.from_bytes(head[4:8], "big") <= max(_VERSIONS):
        version = f"{int.from_bytes(head[4:8], 'big')}, big-endian"
    raise cursor.refusal("version", version, "2 or 3, little-endian", at)


def _read_tensor(cursor: Cursor, name: str) -> GgufTensor:
    """One entry of the list; its offset still counts from where the tensors begin."""
    num_dimensions = cursor.count(f"n_dims of {name}", 1, _MOST_DIMENSIONS, U32)
    at = cursor.at
    shape = [
        cursor.count(f"dimension {index} of {name}", 1, _MOST_IN_DIMENSION)
        for index in range(num_dimensions)
    ]
    kind_at, number = cursor.at, cursor.number(f"the type of {name}", U32)
    kind = BLOCK_TYPES.get(number)
    if kind is None:
        known = ", ".join(known.name for known in BLOCK_TYPES.values())
        found = OTHER_TYPES.get(number, "unknown")
        raise cursor.refusal(f"the type of {name}", f"{found} ({number})", known, kind_at)
    if shape[0] % kind.num_values:
        allowed = f"multiples of {kind.num_values} for {kind.name}"
        raise cursor.refusal(f"dimension 0 of {name}", f"{shape[0]:,}", allowed, at)
    return GgufTensor(kind, tuple(reversed(shape)), cursor.number(f"the offset of {name}"))


def _place(
    cursor: Cursor, metadata: dict[str, Any], tensors: dict[str, GgufTensor], size: int
) -> dict[str, GgufTensor]:
    """The tensors with offsets from the file's beginning, in bounds and apart from each other."""
    step = metadata.get(_ALIGNMENT, _DEFAULT_ALIGNMENT)
    if type(step) is not int or not 1 <= step <= _MOST_ALIGNMENT or step & (step - 1):
        allowed = f"powers of two in 1..{_MOST_ALIGNMENT:,}"
        raise cursor.refusal(_ALIGNMENT, step, allowed)
    begin = -(-cursor.at // step) * step
    room = max(0, size - begin)
    for name, tensor in tensors.items():
        if tensor.num_bytes > room:
            allowed = f"0..{room:,}, for the file ends"
            raise cursor.refusal(f"the size of {name}", f"{tensor.num_bytes:,}", allowed, begin)
        if tensor.offset > room - tensor.num_bytes or tensor.offset % step:
            allowed = f"multiples of {step} in 0..{room - tensor.num_bytes:,}"
            raise cursor.refusal(f"the offset of {name}", f"{tensor.offset:,}", allowed, begin)
    placed = {
        name: GgufTensor(tensor.kind, tensor.shape, begin + tensor.offset)
        for name, tensor in tensors.items()
    }
    in_order = sorted(placed, key=lambda name: placed[name].offset)
    for name, other in pairwise(in_order):
        end = placed[name].offset + placed[name].num_bytes
        if placed[other].offset < end:
            value, allowed = f"inside {name}", f"{end - begin:,} or more"
            raise cursor.refusal(f"the offset of {other}", value, allowed, placed[other].offset)
    return placed
