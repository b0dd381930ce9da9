"""Where in their files the pieces of a batch stand, as far as the tokens tell."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tissu_core.data.batches import Part
from tissu_core.data.documents import kind_of
from tissu_core.data.shards import TokenShards

_READ_TOKENS = 1 << 22
_COMPARED_BYTES = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a piece of a document begins; line and byte are None where nobody knows them."""

    path: str
    document: int
    """Its number in the file, from 1: the text of a line of JSON, a megabyte of a long file."""
    line: int | None
    byte: int | None


class Places:
    """Finds places in a tokenised corpus, each file's in one go."""

    def __init__(self, shards: TokenShards, pieces: Sequence[bytes]) -> None:
        """``pieces`` is the text that each id stands for."""
        self._shards, self._pieces = shards, pieces
        self._lines = np.array([piece.count(b"\n") for piece in pieces], dtype=np.int64)
        self._bytes = np.array([len(piece) for piece in pieces], dtype=np.int64)

    def find(self, parts: Sequence[Part]) -> dict[Part, Place]:
        """The place of each part."""
        found: dict[Part, Place] = {}
        path, counted, lines, num_bytes = "", 0, 0, 0
        for part in sorted({*parts}):
            file, documents = self._shards.file_of(part.document)
            if file != path:
                path, counted, lines, num_bytes = file, int(documents[0]), 0, 0
            more_lines, more_bytes = self._count(counted, part.begin)
            counted, lines, num_bytes = part.begin, lines + more_lines, num_bytes + more_bytes
            is_text = self._shards.targets is None and kind_of(Path(path)) == "text"
            found[part] = Place(
                path=path,
                document=len(documents),
                line=lines + 1 if is_text else None,
                byte=num_bytes if is_text and self._stands_at(path, num_bytes, part) else None,
            )
        return found

    def _count(self, begin: int, end: int) -> tuple[int, int]:
        """Line ends and bytes of the text between two tokens."""
        lines = num_bytes = 0
        for first in range(begin, end, _READ_TOKENS):
            ids = self._shards.tokens[first : min(end, first + _READ_TOKENS)]
            lines += int(self._lines[ids].sum())
            num_bytes += int(self._bytes[ids].sum())
        return lines, num_bytes

    def _stands_at(self, path: str, byte: int, part: Part) -> bool:
        """Whether the file has the part's text there: its line ends or letters may be others."""
        ids: npt.NDArray[np.int64] = np.asarray(
            self._shards.tokens[part.begin : part.begin + min(part.num_tokens, _COMPARED_BYTES)]
        )
        text = b"".join(self._pieces[id] for id in ids)[:_COMPARED_BYTES]
        try:
            with Path(path).open("rb") as file:
                file.seek(byte)
                return file.read(len(text)) == text
        except OSError:
            return False
