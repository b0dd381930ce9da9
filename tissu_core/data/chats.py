"""Conversations: read from lines of JSON, and encoded with the tokens that are to be learned."""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from tissu_core.data.corpus import BAD_LINE_SHARE, unchanged
from tissu_core.data.documents import iter_conversation_lines
from tissu_core.data.fingerprint import TextFile
from tissu_core.data.shards import Document
from tissu_core.errors import InputError
from tissu_core.events.shared import Noticed
from tissu_core.text.chat_template import Message
from tissu_core.text.conversation import encode_chat_spans
from tissu_core.text.tokenizer import Tokenizer

_ROLES = ("system", "user", "assistant")
_MALFORMED = "no object with a list of messages"


class UnusableError(Exception):
    """A line from which nothing can be learned; its text says why."""


@dataclass(slots=True)
class Unusable:
    """Lines that were left out: how many for each reason, and where the first is."""

    counts: Counter[str] = field(default_factory=Counter)
    firsts: dict[str, str] = field(default_factory=dict)
    longest: int = 0
    """Tokens of the longest that was too long."""

    def add(self, reason: str, where: str) -> None:
        """Count a line."""
        self.counts[reason] += 1
        self.firsts.setdefault(reason, where)

    def judge(self, num_read: int) -> Iterator[Noticed]:
        """Say what was left out, and why.

        Raises:
            InputError: If nothing is left, or one line in a hundred is malformed.
        """
        said = [f"{n:,} {why}, first {self.firsts[why]}" for why, n in self.counts.most_common()]
        if not num_read:
            raise InputError(
                f"nothing can be learned from these conversations: {'; '.join(said) or 'no line'}",
                hint=f"--context {self.longest}, or shorter ones"
                if self.longest
                else 'lines such as {"messages": [{"role": "user", "content": "..."}, '
                '{"role": "assistant", "content": "..."}]}',
            )
        if self.counts[_MALFORMED] > BAD_LINE_SHARE * (num_read + self.counts.total()):
            raise InputError(
                f"{self.counts[_MALFORMED]:,} lines are {_MALFORMED}, first "
                f"{self.firsts[_MALFORMED]}",
                hint="mend or remove them",
            )
        for line in said:
            yield Noticed(level="warning", text=f"conversations left out: {line}")


def iter_conversations(
    files: list[TextFile], tokenizer: Tokenizer, longest: int | None, unusable: Unusable
) -> Iterator[Document]:
    """Every conversation of up to ``longest`` tokens, or any; ``unusable`` is told of the others.

    Raises:
        IntegrityError: If a file is not what it was when it was hashed.
    """
    for source, file in enumerate(files):
        with unchanged(file):
            lines = iter_conversation_lines(file.source.path, file.reading)
            for number, line in enumerate(lines, 1):
                if line is not None and not line.strip():
                    continue
                where = f"{file.source.path}:{number}"
                try:
                    ids, is_target = _encode(tokenizer, parse_conversation(line))
                except UnusableError as error:
                    unusable.add(str(error), where)
                    continue
                if longest is not None and len(ids) > longest:
                    unusable.add(f"longer than {longest:,} tokens", where)
                    unusable.longest = max(unusable.longest, len(ids))
                    continue
                yield Document(
                    ids=ids,
                    source=source,
                    num_bytes=len(line or ""),
                    is_target=is_target,
                    where=where,
                )


def parse_conversation(line: str | None) -> list[Message]:
    """The turns of a line; None is one too long to be held.

    Raises:
        UnusableError: If it is none, has another role, or nothing that the assistant says.
    """
    try:
        turns = [parse_turn(turn) for turn in json.loads(line or "")["messages"]]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise UnusableError(_MALFORMED) from error
    if all(turn.role != "assistant" for turn in turns):
        raise UnusableError("without a turn of the assistant")
    return turns


def parse_turn(turn: Any) -> Message:
    """One turn of a line.

    Raises:
        UnusableError: If it is of another role, or not text.
        KeyError, TypeError, ValueError: If it is no turn.
    """
    role, content = turn["role"], turn["content"]
    if role not in _ROLES:
        raise UnusableError(f"with a role that is not {', '.join(_ROLES)}")
    if role == "assistant" and not content:
        raise UnusableError("with an empty turn of the assistant")
    if not isinstance(content, str):
        raise UnusableError("with content that is no text")
    content.encode()  # JSON can spell half a surrogate pair, which is no text
    return Message(role=role, content=content)


def _encode(tokenizer: Tokenizer, turns: list[Message]) -> tuple[list[int], list[bool]]:
    try:
        return encode_chat_spans(tokenizer, turns)
    except InputError as error:
        raise UnusableError(f"refused: {error.message}") from error
