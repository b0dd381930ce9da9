"""The wire format of protocol buffers, as far as a SentencePiece model uses it.

Source: https://protobuf.dev/programming-guides/encoding/
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

_VARINT, _EIGHT_BYTES, _LENGTH, _FOUR_BYTES = 0, 1, 2, 5
_LONGEST_VARINT = 10


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a message; messages, texts and bytes are ``bytes``, all else is a number."""

    number: int
    value: int | float | bytes
    offset: int
    """Where the value begins in the whole file."""


def iter_fields(data: bytes, origin: int = 0) -> Iterator[Field]:
    """The fields of a message that begins at byte ``origin`` of its file.

    Raises:
        ValueError: If it is cut short or is none; names the byte.
    """
    at = 0
    while at < len(data):
        begin = at
        tag, at = _varint(data, at, origin)
        number, kind = tag >> 3, tag & 7
        value: int | float | bytes
        if kind == _VARINT:
            value, end = _varint(data, at, origin)
        elif kind == _LENGTH:
            size, at = _varint(data, at, origin)
            end = at + size
            value = data[at:end]
        elif kind in (_FOUR_BYTES, _EIGHT_BYTES):
            end = at + (4 if kind == _FOUR_BYTES else 8)
            packed = data[at:end]
            form = "<f" if kind == _FOUR_BYTES else "<d"
            value = struct.unpack(form, packed)[0] if end <= len(data) else 0.0
        else:
            raise ValueError(f"byte {origin + begin}: a field of the unknown kind {kind}")
        if not number:
            raise ValueError(f"byte {origin + begin}: a field without a number")
        if end > len(data):
            raise ValueError(
                f"byte {origin + at}: field {number} needs {end - at:,} bytes, "
                f"{len(data) - at:,} are left"
            )
        yield Field(number, value, origin + at)
        at = end


def _varint(data: bytes, at: int, origin: int) -> tuple[int, int]:
    value = 0
    for count, byte in enumerate(data[at : at + _LONGEST_VARINT]):
        value |= (byte & 0x7F) << (7 * count)
        if byte < 0x80:
            return value, at + count + 1
    raise ValueError(f"byte {origin + at}: a number without an end")
