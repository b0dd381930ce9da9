"""Prompts in a file: one a line, or an object with a ``prompt`` in each line of JSON."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tissu_core.config.data import ReadingConfig
from tissu_core.data.characters import iter_characters
from tissu_core.data.documents import kind_of
from tissu_core.data.json_lines import LONGEST_LINE, iter_lines
from tissu_core.data.packed import NotTextError, open_plain
from tissu_core.data.sources import check_paths
from tissu_core.errors import InputError

KEY = "prompt"
ADDED_KEYS = ("text", "tokens", "reason", "error")
"""What a line of the output says of its prompt."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """A text to continue, and what its line holds beside it, which is passed on."""

    text: str
    carried: Mapping[str, Any]


def iter_prompts(path: Path) -> Iterator[Prompt]:
    """The prompts of a file in order; blank lines are passed over, white space in others is not.

    Raises:
        InputError: If the file is not there or is no text, or a line of JSON has no prompt; names
            the line.
    """
    check_paths([str(path)])
    if not path.is_file():
        raise InputError(f"{path} is no file, and is read twice", hint="save the prompts to a file")
    parse = _parse if kind_of(path) == "jsonl" else _take
    try:
        with open_plain(path) as file:
            for number, line in enumerate(iter_lines(iter_characters(file, ReadingConfig())), 1):
                if line is None:
                    raise NotTextError(f"line {number} is longer than {LONGEST_LINE:,} characters")
                if line.strip():
                    yield parse(line, f"{path}:{number}")
    except (NotTextError, OSError) as error:
        raise InputError(f"cannot read {path}: {error}", hint="one prompt a line") from error


def _take(line: str, where: str) -> Prompt:
    return Prompt(line.removesuffix("\r"), {})


def _parse(line: str, where: str) -> Prompt:
    try:
        record = json.loads(line)
        # JSON can spell half a surrogate pair, and Python's reads NaN; neither can be passed on.
        json.dumps(record, ensure_ascii=False, allow_nan=False).encode()
    except (ValueError, RecursionError) as error:
        raise InputError(f"{where} is not JSON: {error}", hint=f'{{"{KEY}": "..."}}') from error
    text = record.pop(KEY, None) if isinstance(record, dict) else None
    if not isinstance(text, str):
        raise InputError(f"{where} has no text named {KEY}", hint=f'{{"{KEY}": "..."}}')
    for name in ADDED_KEYS:
        if name in record:
            raise InputError(
                f"{where} has a {name!r}, which the output says of the reply",
                hint=f"another name for {name!r}",
            )
    return Prompt(text, record)
