"""Text of one file: decoded as it streams, cut into documents, never held whole."""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Literal, TypeAlias

from tissu_core.config.data import ReadingConfig
from tissu_core.data.characters import Note, iter_characters
from tissu_core.data.json_lines import DEFAULT_KEY, holds_chats, iter_json_texts, iter_lines
from tissu_core.data.packed import PACKINGS, open_plain
from tissu_core.data.parquet import iter_parquet_texts

DOCUMENT_CHARACTERS = 1 << 20
Kind: TypeAlias = Literal["text", "jsonl", "parquet"]


def kind_of(path: Path) -> Kind:
    """How a file holds its text, by its name."""
    name = path.name.lower()
    if name.endswith(".parquet"):
        return "parquet"
    for packing in PACKINGS:
        name = name.removesuffix(packing)
    return "jsonl" if name.endswith((".jsonl", ".ndjson")) else "text"


def check_text(
    path: Path, reading: ReadingConfig, tick: Callable[[], object] = bool
) -> tuple[str, Counter[Note]]:
    """Read a file once to its end; returns the SHA-256 of its bytes and what is worth saying.

    ``tick`` is called for each megabyte, or text; what it raises ends the reading.

    Raises:
        NotTextError: If it is binary, of another encoding, or broken inside.
        InputError: If a package is missing that reads it.
        OSError: If it cannot be read.
    """
    notes: Counter[Note] = Counter()
    if kind_of(path) == "parquet":
        chunks = iter_parquet_texts(path, reading.text_column)
    else:
        chunks = _iter_checked(path, reading, notes)
    for _ in chunks:
        tick()
    with path.open("rb") as raw:
        return hashlib.file_digest(raw, "sha256").hexdigest(), notes


def iter_documents(
    path: Path, reading: ReadingConfig, on_bad_line: Callable[[int], None]
) -> Iterator[str]:
    """The documents of a file: texts of JSONL or Parquet, or the text; long ones in pieces.

    ``on_bad_line`` is told the number of each JSONL line that is no object with a text.
    """
    for _, pieces in iter_texts(path, reading, on_bad_line):
        yield from pieces


def iter_texts(
    path: Path, reading: ReadingConfig, on_bad_line: Callable[[int], None]
) -> Iterator[tuple[int, Iterator[str]]]:
    """Each text of a file as its documents, with its number: of the line of JSONL, or of the text.

    The documents of a text are to be read before the next text is asked for.
    """
    if kind_of(path) == "parquet":
        for number, text in enumerate(iter_parquet_texts(path, reading.text_column), 1):
            yield number, _iter_pieces([text])
        return
    with open_plain(path) as file:
        chunks = iter_characters(file, reading)
        if kind_of(path) == "text":
            yield 1, _iter_pieces(chunks)
            return
        key = reading.text_column or DEFAULT_KEY
        for line, text in iter_json_texts(chunks, key, on_bad_line):
            yield line, _iter_pieces([text])


def iter_conversation_lines(path: Path, reading: ReadingConfig) -> Iterator[str | None]:
    """The lines of a file of conversations; None for one too long to be held."""
    with open_plain(path) as file:
        yield from iter_lines(iter_characters(file, reading))


def _iter_checked(path: Path, reading: ReadingConfig, notes: Counter[Note]) -> Iterator[str]:
    line = 0
    with open_plain(path) as file:
        for number, chunk in enumerate(iter_characters(file, reading, notes)):
            if kind_of(path) == "text":
                first, newline, _ = chunk.partition("\n")
                if line + len(first) > DOCUMENT_CHARACTERS:
                    notes[Note.LONG_LINE] = 1
                line = len(chunk) - 1 - chunk.rindex("\n") if newline else line + len(chunk)
            elif number == 0:
                first_line = chunk.partition("\n")[0]
                if holds_chats(first_line, reading.text_column or DEFAULT_KEY):
                    notes[Note.CHATS] = 1
            yield chunk


def _iter_pieces(chunks: Iterable[str]) -> Iterator[str]:
    """Text cut at blank lines, lines or words into documents of about a megabyte."""
    text = ""
    for chunk in chunks:
        text += chunk
        begin = 0
        while len(text) - begin > DOCUMENT_CHARACTERS:
            piece = text[begin : begin + DOCUMENT_CHARACTERS]
            cut = _cut_at(piece)
            yield piece[:cut]
            begin += cut
        text = text[begin:]
    if text:
        yield text


def _cut_at(text: str) -> int:
    for mark in ("\n\n", "\n", " "):
        found = text.rfind(mark, len(text) // 2)
        if found >= 0:
            return found + len(mark)
    return len(text)
