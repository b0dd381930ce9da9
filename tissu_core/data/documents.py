"""Text of one file: decoded as it streams, cut into documents, never held whole."""

import codecs
import gzip
import hashlib
import itertools
import json
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

DOCUMENT_CHARACTERS = 1 << 20
_CHUNK_BYTES = 1 << 20
_LARGEST_RATIO = 200  # a .gz that grows more than this is a bomb, not text
_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)


class NotTextError(Exception):
    """A file is not text; says why."""


def check_text(path: Path, tick: Callable[[], object] = bool) -> str:
    """Read a file once to its end and return the SHA-256 of its bytes.

    ``tick`` is called for each megabyte; what it raises ends the reading.

    Raises:
        NotTextError: If it is binary, not UTF-8 (or UTF-16 with a mark), or broken inside its .gz.
        OSError: If it cannot be read.
    """
    for _ in _iter_text(path):
        tick()
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def is_json_lines(path: Path) -> bool:
    """Whether a file's name says that its lines are JSON."""
    return path.name.removesuffix(".gz").endswith((".jsonl", ".ndjson"))


def iter_documents(path: Path, on_bad_line: Callable[[int], None]) -> Iterator[str]:
    """The documents of a file: lines of JSONL with ``text``, else text cut at blank lines.

    ``on_bad_line`` is told the number of each JSONL line that is no object with a ``text``.
    """
    if is_json_lines(path):
        yield from _iter_json_lines(path, on_bad_line)
    else:
        yield from _iter_pieces(_iter_text(path))


def _iter_pieces(chunks: Iterator[str]) -> Iterator[str]:
    text = ""
    for chunk in chunks:
        text += chunk
        while len(text) > DOCUMENT_CHARACTERS:
            cut = _cut_at(text[:DOCUMENT_CHARACTERS])
            yield text[:cut]
            text = text[cut:]
    if text:
        yield text


def _cut_at(text: str) -> int:
    for mark in ("\n\n", "\n", " "):
        found = text.rfind(mark, len(text) // 2)
        if found >= 0:
            return found + len(mark)
    return len(text)


def _iter_json_lines(path: Path, on_bad_line: Callable[[int], None]) -> Iterator[str]:
    number, rest = 0, ""
    for chunk in itertools.chain(_iter_text(path), ["\n"]):
        lines = (rest + chunk).split("\n")
        rest = lines.pop()
        for line in lines:
            number += 1
            text = _text_of(line)
            if text:
                yield text
            elif text is None:
                on_bad_line(number)


def _text_of(line: str) -> str | None:
    """The text of a JSON line; empty for a blank line, None for a line that has none."""
    if not line.strip():
        return ""
    try:
        record = json.loads(line)
        text = record["text"]
        if isinstance(text, str):
            text.encode()  # JSON can spell half a surrogate pair, which is no text
            return text
    except (ValueError, KeyError, TypeError, RecursionError):
        pass
    return None


def _iter_text(path: Path) -> Iterator[str]:
    with _open_plain(path) as file:
        chunk = file.read(_CHUNK_BYTES)
        mark, encoding = next(((m, e) for m, e in _BOMS if chunk.startswith(m)), (b"", "utf-8"))
        if encoding == "utf-8" and b"\0" in chunk[:8192]:
            raise NotTextError("binary")
        decoder = codecs.getincrementaldecoder(encoding)()
        position = len(mark)
        chunk = chunk[len(mark) :]
        while True:
            try:
                text = decoder.decode(chunk, final=not chunk)
            except UnicodeDecodeError as error:
                where = position + len(chunk) - len(error.object) + error.start
                raise NotTextError(f"not {encoding.upper()} at byte {where:,}") from error
            if text:
                yield text
            if not chunk:
                return
            position += len(chunk)
            chunk = file.read(_CHUNK_BYTES)


@contextmanager
def _open_plain(path: Path) -> Iterator[IO[bytes]]:
    if path.suffix != ".gz":
        with path.open("rb") as file:
            yield file
        return
    with path.open("rb") as packed, gzip.GzipFile(fileobj=packed) as unpacked:
        yield _Bounded(unpacked, path.stat().st_size * _LARGEST_RATIO)  # type: ignore[misc]


class _Bounded:
    """Reads a .gz up to a limit, and says broken ones in one word."""

    def __init__(self, file: gzip.GzipFile, limit: int) -> None:
        self._file, self._left = file, limit

    def read(self, size: int) -> bytes:
        try:
            chunk = self._file.read(size)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise NotTextError("broken .gz") from error
        self._left -= len(chunk)
        if self._left < 0:
            raise NotTextError(f".gz unpacks to over {_LARGEST_RATIO} times its size")
        return chunk
