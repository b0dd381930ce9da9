"""Texts in lines of JSON."""

import itertools
import json
from collections.abc import Callable, Iterable, Iterator

LONGEST_LINE = 16 << 20
"""Characters; a line is held whole to be parsed, several times over."""
DEFAULT_KEY = "text"


def iter_json_texts(
    chunks: Iterable[str], key: str, on_bad_line: Callable[[int], None]
) -> Iterator[tuple[int, str]]:
    """The text of each line with its number; ``on_bad_line`` is told of one that has none."""
    for number, line in enumerate(iter_lines(chunks), 1):
        text = None if line is None else _text_of(line, key)
        if text:
            yield number, text
        elif text is None:
            on_bad_line(number)


def holds_chats(first_line: str, key: str) -> bool:
    """Whether a file that begins so holds messages instead of texts."""
    try:
        record = json.loads(first_line)
    except (ValueError, RecursionError):
        return False
    return isinstance(record, dict) and "messages" in record and key not in record


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
