"""A corpus on disk as one long text, with the places of its words in the order of what follows.

A sealed directory: ``text.bin`` (UTF-8 of all texts, a byte 0xFF behind each), ``suffixes.bin``
(uint32: where words begin, from the first byte of their block, each block in order), ``texts.bin``
(int64 triples: first byte, number of the file, number in it). Making it holds a block in memory,
asking it maps the files.
"""

import mmap
from bisect import bisect_left, bisect_right
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from tissu_core.data.corpus import BadLines, PrepareEvent, Ticks
from tissu_core.data.fingerprint import TextFile
from tissu_core.data.suffixes import sort_suffixes
from tissu_core.data.whole_texts import iter_whole_texts, line_in_file
from tissu_core.data.words import Offsets, byte_offsets, word_spans
from tissu_core.errors import InputError
from tissu_core.events.shared import StageAdvanced
from tissu_core.events.sources import SourcePlace
from tissu_core.storage import check_sizes, read_manifest

TEXT_FILE, SUFFIXES_FILE, TEXTS_FILE = "text.bin", "suffixes.bin", "texts.bin"
FORMAT = 1
SEPARATOR = b"\xff"
"""In no UTF-8, so that nothing is found that reaches from one text into the next."""
DEPTH = 1 << 16
"""Bytes to which suffixes are in order; longer ones are compared one by one."""
BLOCK_WORDS, BLOCK_BYTES = 3_000_000, 32 << 20
"""Sorted at once, which takes about 300 MB: fewer blocks are asked faster."""
_MOST_COMPARED = 1000
"""Places in a block at which more than ``DEPTH`` bytes are compared: few stand anywhere twice."""


def write_index(
    files: list[TextFile], total: int, directory: Path
) -> Generator[PrepareEvent, None, dict[str, Any]]:
    """Fill ``directory``; returns the facts for its manifest. ``total`` bytes are foreseen.

    Raises:
        InputError: If the files hold no word, or too many lines of JSONL no text.
        IntegrityError: If a file is not what it was when it was hashed.
    """
    bad_lines, ticks, num_texts = BadLines(), Ticks(), 0
    with (
        (directory / TEXT_FILE).open("wb") as text_file,
        (directory / SUFFIXES_FILE).open("wb") as suffixes_file,
        (directory / TEXTS_FILE).open("wb") as texts_file,
    ):
        blocks = _BlockWriter(text_file, suffixes_file)
        for text in iter_whole_texts(files, bad_lines):
            num_texts += 1
            texts_file.write(np.array([blocks.end, text.file, text.number], "<i8").tobytes())
            for piece in text.pieces:
                blocks.append(piece)
                if ticks.is_due():
                    done = min(blocks.end, total)
                    yield StageAdvanced(stage="indexing", done=done, total=total, unit="bytes")
            blocks.separate()
        blocks.close()
    yield from bad_lines.judge(num_texts)
    if not blocks.num_words:
        raise InputError("the files hold no word of text", hint="name a folder with text files")
    return {
        "num_texts": num_texts,
        "num_words": blocks.num_words,
        "text_bytes": blocks.end - num_texts,
        "blocks": blocks.blocks,
    }


class _BlockWriter:
    """Writes a text as it comes, and of each block of it the places of words in order."""

    def __init__(self, text: BinaryIO, suffixes: BinaryIO) -> None:
        self._text, self._suffixes = text, suffixes
        self._pending = bytearray()
        self._begins: list[Offsets] = []
        self._pending_words = 0
        self.end = 0
        """Of all that was written, in bytes."""
        self.num_words = 0
        self.blocks: list[tuple[int, int]] = []
        """First byte and number of words of each."""

    def append(self, piece: str) -> None:
        begins = byte_offsets(piece, word_spans(piece)[0])
        self._begins.append(begins + len(self._pending))
        self._pending_words += len(begins)
        self._write(piece.encode())
        # What follows a block's last word is sorted with it, as far as it is compared.
        if (
            self._pending_words > BLOCK_WORDS + DEPTH or len(self._pending) > BLOCK_BYTES + DEPTH
        ) and len(self._pending) > 2 * DEPTH:
            self._sort(len(self._pending) - DEPTH)

    def separate(self) -> None:
        """End a text."""
        self._write(SEPARATOR)

    def close(self) -> None:
        self._sort(len(self._pending))

    def _write(self, text: bytes) -> None:
        self._text.write(text)
        self._pending += text
        self.end += len(text)

    def _sort(self, num_bytes: int) -> None:
        """Write the block of so many bytes of what is pending, and keep the rest."""
        begins = np.concatenate(self._begins or [np.zeros(0, dtype=np.int64)])
        suffixes = sort_suffixes(bytes(self._pending), begins, DEPTH)
        suffixes = suffixes[suffixes < num_bytes]
        if len(suffixes):
            self._suffixes.write(suffixes.tobytes())
            self.blocks.append((self.end - len(self._pending), len(suffixes)))
        self.num_words += len(suffixes)
        rest = begins[begins >= num_bytes] - num_bytes
        self._begins, self._pending_words = [rest], len(rest)
        del self._pending[:num_bytes]


class VerbatimIndex:
    """Finds where a text stands in a corpus."""

    def __init__(self, directory: Path, files: list[TextFile]) -> None:
        """Map the index of these ``files``, wherever they lie by now.

        Raises:
            IntegrityError: If one is not of the size that was sealed, or the manifest is damaged.
        """
        self.facts = read_manifest(directory)
        check_sizes(directory, self.facts)
        self._text = _map(directory / TEXT_FILE)
        suffixes = memoryview(_map(directory / SUFFIXES_FILE)).cast("I")
        self._blocks: list[tuple[int, memoryview]] = []
        first = 0
        for base, count in self.facts["blocks"]:
            self._blocks.append((base, suffixes[first : first + count]))
            first += count
        self._texts = np.fromfile(directory / TEXTS_FILE, dtype="<i8").reshape(-1, 3)
        self._files = files

    def has(self, wanted: bytes) -> bool:
        """Whether ``wanted``, which begins with a word, stands there and begins with one there."""
        return next(self.find(wanted), None) is not None

    def count(self, wanted: bytes) -> int:
        """How often it stands there."""
        if len(wanted) > DEPTH:
            return sum(1 for _ in self.find(wanted))
        return sum(len(self._range(block, wanted, is_whole=True)) for block in self._blocks)

    def find(self, wanted: bytes) -> Iterator[int]:
        """The bytes at which it stands, in no order."""
        start = wanted[:DEPTH]
        for block in self._blocks:
            base, suffixes = block
            places = self._range(block, start, is_whole=False)
            for compared, place in enumerate(places):
                byte = base + suffixes[place]
                if self._text[byte : byte + len(start)] != start:
                    break
                if compared >= _MOST_COMPARED and start is not wanted:
                    break
                if self._text[byte : byte + len(wanted)] == wanted:
                    yield byte

    def _range(self, block: tuple[int, memoryview], start: bytes, *, is_whole: bool) -> range:
        """The suffixes that begin so; unless ``is_whole`` with all that come behind them."""
        (base, suffixes), text, length = block, self._text, len(start)

        def begins(suffix: int) -> bytes:
            return text[base + suffix : base + suffix + length]

        first = bisect_left(suffixes, start, key=begins)
        if not is_whole:
            return range(first, len(suffixes))
        return range(first, bisect_right(suffixes, start, lo=first, key=begins))

    def place(self, byte: int) -> SourcePlace:
        """The file of a byte, and where in it."""
        index = int(np.searchsorted(self._texts[:, 0], byte, side="right")) - 1
        first, source, number = map(int, self._texts[index])
        file = self._files[source]
        return SourcePlace(
            path=str(file.source.path),
            text=index + 1 - int(np.searchsorted(self._texts[:, 1], source)),
            line=line_in_file(file, number, _count_lines(self._text, first, byte)),
        )


def _map(path: Path) -> mmap.mmap:
    with path.open("rb") as file:
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


def _count_lines(text: mmap.mmap, begin: int, end: int) -> int:
    return sum(
        text[first : min(end, first + BLOCK_BYTES)].count(b"\n")
        for first in range(begin, end, BLOCK_BYTES)
    )
