"""Finding words in conversations. What is typed is text: no sign in it means anything."""

import re
import sqlite3
from dataclasses import dataclass
from typing import Any

from tissu_cli.sessions.schema import bound

_LONGEST = 1000
"""Characters of what is looked for."""
_MOST_WORDS = 32
_AROUND = 40
"""Characters on either side of what is found."""
_TRIGRAM = 3
_ESCAPES = {ord(sign): f"\\{sign}" for sign in "%_\\"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A conversation with the newest message that holds all the words; None if its title does."""

    id: str
    title: str
    updated: float
    turn: str | None
    role: str
    snippet: str


def words_of(text: str) -> list[str]:
    """What to look for; sqlite ends a text at a NUL."""
    return text[:_LONGEST].replace("\0", " ").split()[:_MOST_WORDS]


def find(connection: sqlite3.Connection, words: list[str], limit: int) -> list[Found]:
    """The conversations that hold all the words, the one continued last first."""
    # A damaged index must not hide what is there; without it, 10 MB of texts take 30 ms.
    messages = _messages(connection, words, limit, shortest=_TRIGRAM) or _messages(
        connection, words, limit, shortest=_LONGEST
    )
    named = {id for id, *_ in messages}
    titles = [
        (id, title, updated, None, "", title)
        for id, title, updated in connection.execute("SELECT id, title, updated FROM conversation")
        if id not in named and _is_in(words, title)
    ]
    rows = sorted([*messages, *titles], key=lambda row: -row[2])[:limit]
    return [
        Found(
            id=id,
            title=title,
            updated=updated,
            turn=turn,
            role=role,
            snippet=_snippet(text, words),
        )
        for id, title, updated, turn, role, text in rows
    ]


def _messages(
    connection: sqlite3.Connection, words: list[str], limit: int, shortest: int
) -> list[tuple[Any, ...]]:
    """The newest message of each conversation that holds all the words.

    The index is asked for words of ``shortest`` characters or more; the texts, for the others.
    """
    conditions, values = [], []
    for word in words:
        if len(word) >= shortest:
            conditions.append(
                "number IN (SELECT rowid FROM turn_text WHERE turn_text MATCH CAST(? AS TEXT))"
            )
            quoted = word.replace('"', '""')
            values.append(f'"{quoted}"')
        else:
            conditions.append(r"text LIKE CAST(? AS TEXT) ESCAPE '\'")
            values.append(f"%{word.translate(_ESCAPES)}%")
    return connection.execute(
        f"""SELECT conversation.id, title, updated, turn.id, role, text
        FROM turn JOIN conversation ON conversation.id = turn.conversation
        WHERE number IN (
            SELECT max(number) FROM turn WHERE {" AND ".join(conditions)} GROUP BY conversation)
        ORDER BY updated DESC LIMIT ?""",
        (*bound(*values), limit),
    ).fetchall()


def _is_in(words: list[str], text: str) -> bool:
    """Whether a text holds all the words, in capitals or not."""
    folded = text.casefold()
    return all(word.casefold() in folded for word in words)


def _snippet(text: str, words: list[str]) -> str:
    """One line of a text, around the first of the words."""
    found = re.search("|".join(map(re.escape, words)), text, re.IGNORECASE)
    start, end = found.span() if found else (0, 0)
    first, last = max(0, start - _AROUND), min(len(text), end + _AROUND)
    line = " ".join(text[first:last].split())
    return f"{'…' if first else ''}{line}{'…' if last < len(text) else ''}"
