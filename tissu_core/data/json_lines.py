"""Texts in lines of JSON."""

import itertools
import json
from collections.abc import Callable, Iterable, Iterator

from tissu_core.data.packed import NotTextError

LONGEST_LINE = 16 << 20
"""Characters; a line is held whole to be parsed, several times over."""
DEFAULT_KEY = "text"


def iter_json_texts(
    chunks: Iterable[str], key: str, on_bad_line: Callable[[int], None]
) -> Iterator[str]:
    """The text of each line; ``on_bad_line`` is told the number of one that has none."""
    for number, line in enumerate(iter_lines(chunks), 1):
        text = None if line is None else _text_of(line, key)
        if text:
            yield text
        elif text is None:
            on_bad_line(number)


def refuse_chats(first_line: str, key: str) -> None:
    """Say of a file of chats that it is one.

    Raises:
        NotTextError: If the line holds messages and no text.
    """
    try:
        record = json.loads(first_line)
    except (ValueError, RecursionError):
        return
    if isinstance(record, dict) and "messages" in record and key not in record:
        raise NotTextError("chats: lines with messages instead of a text")


def iter_lines(chunks: Iterable[str]) -> Iterator[str | None]:
    """Lines without their ends; None for one too long to be held."""
    parts: list[str] = []
    size = 0
    for chunk in itertools.chain(chunks, ["\n"]):
        *ends, rest = chunk.split("\n")
        for end in ends:
            size += len(end)
            yield "".join([*parts, end]) if size <= LONGEST_LINE else None
            parts, size = [], 0
        size += len(rest)
        parts = [*parts, rest] if size <= LONGEST_LINE else []


def _text_of(line: str, key: str) -> str | None:
    """The text of a JSON line; empty for a blank line, None for a line that has none."""
    if not line.strip():
        return ""
    try:
        record = json.loads(line)
        text = record[key]
        if isinstance(text, str):
            if "\\u" in line:
                text.encode()  # JSON can spell half a surrogate pair, which is no text
            return text
    except (ValueError, KeyError, TypeError, RecursionError):
        pass
    return None
