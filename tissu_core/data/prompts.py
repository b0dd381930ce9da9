"""Prompts in a file: a text a line, or in each line of JSON a ``prompt`` or ``messages``."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tissu_core.config.data import ReadingConfig
from tissu_core.data.characters import iter_characters
from tissu_core.data.chats import UnusableError, parse_turn
from tissu_core.data.documents import kind_of
from tissu_core.data.json_lines import LONGEST_LINE, iter_lines
from tissu_core.data.packed import NotTextError, open_plain
from tissu_core.data.sources import check_paths
from tissu_core.errors import InputError
from tissu_core.text.chat_template import Message

TEXT_KEY, CHAT_KEY = "prompt", "messages"
ADDED_KEYS = ("text", "tokens", "reason", "error")
"""What a line of the output says of its prompt."""
_NOUNS = {TEXT_KEY: "text", CHAT_KEY: "list"}
_HINT = f'{{"{TEXT_KEY}": "..."}}, or {{"{CHAT_KEY}": [{{"role": "user", "content": "..."}}]}}'


@dataclass(frozen=True, slots=True)
class Prompt:
    """A text to continue or turns to answer, as in the file, and what is passed on beside them."""

    given: str | list[Any]
    carried: Mapping[str, Any]

    @property
    def key(self) -> str:
        """What a line of JSON calls it."""
        return TEXT_KEY if isinstance(self.given, str) else CHAT_KEY

    def read(self) -> str | list[Message]:
        """The text, or the turns, of which the last is not the assistant's.

        Raises:
            UnusableError: If the turns are no conversation.
        """
        if isinstance(self.given, str):
            return self.given
        try:
            turns = [parse_turn(turn) for turn in self.given]
        except (KeyError, TypeError) as error:
            raise UnusableError("that are not each a role and a content") from error
        if not turns or turns[-1].role == "assistant":
            raise UnusableError("with nothing to answer")
        return turns


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
        raise InputError(f"{where} is not JSON: {error}", hint=_HINT) from error
    is_chat = isinstance(record, dict) and TEXT_KEY not in record and CHAT_KEY in record
    key, kind = (CHAT_KEY, list) if is_chat else (TEXT_KEY, str)
    given = record.pop(key, None) if isinstance(record, dict) else None
    if not isinstance(given, kind):
        raise InputError(f"{where} has no {_NOUNS[key]} named {key}", hint=_HINT)
    for name in ADDED_KEYS:
        if name in record:
            raise InputError(
                f"{where} has a {name!r}, which the output says of the reply",
                hint=f"another name for {name!r}",
            )
    prompt = Prompt(given, record)
    try:
        prompt.read()
    except UnusableError as error:
        raise InputError(f"{where} has messages {error}", hint=_HINT) from error
    return prompt
