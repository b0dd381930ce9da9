"""Writing a GGUF file: facts, the list of tensors, then their numbers as they come.

Source: github.com/ggml-org/ggml, ``docs/gguf.md``.
"""

import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np

from tissu_core.checkpoint.gguf.blocks import BLOCK_TYPES, BlockType, Bytes
from tissu_core.checkpoint.gguf.packing import NUMBERS

_VERSION = 3
_ALIGNMENT = 32
_U32, _I32, _F32, _BOOL, _TEXT, _ARRAY = 4, 5, 6, 7, 8, 9


@dataclass(frozen=True, slots=True)
class Entry:
    """A tensor to write. Shapes: rows first, as everywhere but in the file."""

    name: str
    kind: BlockType
    shape: tuple[int, ...]

    @property
    def num_bytes(self) -> int:
        """Its size in the file."""
        return self.kind.size(self.shape)


def kind_of(name: str) -> BlockType:
    """GGUF's type of that name."""
    return BLOCK_TYPES[NUMBERS[name]]


def gguf_bytes(metadata: Mapping[str, Any], entries: Iterable[Entry]) -> int:
    """The size of the file, in bytes."""
    listed = [*entries]
    return len(_header(metadata, listed)) + sum(_padded(entry.num_bytes) for entry in listed)


class GgufWriter:
    """A file to which the rows of each entry are added, in their order.

    Raises, in every method:
        OSError: If the disk is full, read-only or failing.
    """

    def __init__(self, path: Path, metadata: Mapping[str, Any], entries: Iterable[Entry]) -> None:
        self._path, self._header = path, _header(metadata, [*entries])

    def __enter__(self) -> Self:
        self._file = self._path.open("wb")
        self._file.write(self._header)
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def add(self, entry: Entry, rows: Bytes) -> None:
        """The next entry's packed rows: (rows, bytes of a row)."""
        assert rows.nbytes == entry.num_bytes, entry
        self._file.write(np.ascontiguousarray(rows).data)
        self._file.write(bytes(_padded(rows.nbytes) - rows.nbytes))


def _header(metadata: Mapping[str, Any], entries: list[Entry]) -> bytes:
    parts = [b"GGUF", struct.pack("<IQQ", _VERSION, len(entries), len(metadata))]
    for key, value in metadata.items():
        kind = _kind(value)
        parts += [_text(key), struct.pack("<I", kind), _value(kind, value)]
    offset = 0
    for entry in entries:
        dimensions = struct.pack(f"<I{len(entry.shape)}Q", len(entry.shape), *entry.shape[::-1])
        number = NUMBERS[entry.kind.name]
        parts += [_text(entry.name), dimensions, struct.pack("<IQ", number, offset)]
        offset += _padded(entry.num_bytes)
    head = b"".join(parts)
    return head.ljust(_padded(len(head)), b"\0")


def _padded(size: int) -> int:
    return -(-size // _ALIGNMENT) * _ALIGNMENT


def _text(text: str) -> bytes:
    spelled = text.encode()
    return struct.pack("<Q", len(spelled)) + spelled


def _kind(value: Any) -> int:
    """GGUF's number of a value's type; counts are unsigned, those in lists are not."""
    match value:
        case bool():
            return _BOOL
        case int():
            return _U32
        case float():
            return _F32
        case str():
            return _TEXT
        case _:
            return _ARRAY


def _value(kind: int, value: Any) -> bytes:
    match kind:
        case 8:
            return _text(value)
        case 9:
            return _list(value)
        case _:
            return struct.pack({_BOOL: "<?", _U32: "<I", _F32: "<f"}[kind], value)


def _list(values: list[Any]) -> bytes:
    kind = {str: _TEXT, float: _F32, int: _I32}[type(values[0])]
    head = struct.pack("<IQ", kind, len(values))
    if kind == _TEXT:
        return head + b"".join(map(_text, values))
    return head + struct.pack(f"<{len(values)}{'f' if kind == _F32 else 'i'}", *values)
