"""The texts of a corpus, each whole, however long: what a person would call one."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

from tissu_core.data.chats import UnusableError, parse_conversation
from tissu_core.data.corpus import BadLines, unchanged
from tissu_core.data.documents import iter_conversation_lines, iter_texts, kind_of
from tissu_core.data.fingerprint import TextFile


@dataclass(frozen=True, slots=True)
class WholeText:
    """A text of a corpus."""

    file: int
    """Its number in the corpus, from 0."""
    number: int
    """Of its first line in the file; of Parquet, of the text."""
    pieces: Iterator[str]
    """Its documents of about a megabyte, to be read before the next text is asked for."""


def iter_whole_texts(files: list[TextFile], bad_lines: BadLines) -> Iterator[WholeText]:
    """Every text; of conversations every turn.

    Raises:
        IntegrityError: If a file is not what it was when it was hashed.
    """
    for number, file in enumerate(files):
        with unchanged(file):
            if file.is_chats:
                yield from _turns(file, number)
                continue
            path = file.source.path
            for line, pieces in iter_texts(path, file.reading, partial(bad_lines.add, path)):
                yield WholeText(number, line, pieces)


def line_in_file(file: TextFile, number: int, lines_before: int) -> int | None:
    """The line of a place in text ``number`` behind so many line ends of it; Parquet has none."""
    kind = kind_of(file.source.path)
    if kind == "parquet":
        return None
    return number + lines_before if kind == "text" else number


def _turns(file: TextFile, number: int) -> Iterator[WholeText]:
    for line, text in enumerate(iter_conversation_lines(file.source.path, file.reading), 1):
        try:
            turns = parse_conversation(text)
        except UnusableError:  # it is not learned either
            continue
        for turn in turns:
            yield WholeText(number, line, iter([turn.content]))
