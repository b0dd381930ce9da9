"""GGUF files byte by byte, so that every one of them can be wrong."""

import struct
from collections.abc import Sequence


def text(value: bytes, length: int | None = None) -> bytes:
    return struct.pack("<Q", len(value) if length is None else length) + value


def key(name: bytes, kind: int, value: bytes) -> bytes:
    return text(name) + struct.pack("<I", kind) + value


def number(name: bytes, value: int) -> bytes:
    return key(name, 4, struct.pack("<I", value))


def tensor(name: bytes, shape: Sequence[int], kind: int = 0, offset: int = 0) -> bytes:
    dimensions = struct.pack(f"<I{len(shape)}Q", len(shape), *shape)
    return text(name) + dimensions + struct.pack("<IQ", kind, offset)


def file(
    keys: Sequence[bytes] = (),
    tensors: Sequence[bytes] = (),
    data: bytes = b"",
    *,
    magic: bytes = b"GGUF",
    version: bytes = struct.pack("<I", 3),
    counts: tuple[int, int] | None = None,
) -> bytes:
    num_tensors, num_keys = counts or (len(tensors), len(keys))
    header = magic + version + struct.pack("<QQ", num_tensors, num_keys)
    header += b"".join([*keys, *tensors])
    return header + bytes(-len(header) % 32) + data
