"""The tables of the file of conversations, and the steps by which an older file becomes a new one.

Texts are bound as bytes and cast: Python refuses to bind a text with half a surrogate pair, which
a terminal of another encoding can type.
"""

import sqlite3
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

_TABLES = (
    """CREATE TABLE conversation (
        id TEXT PRIMARY KEY NOT NULL, title TEXT NOT NULL, model TEXT NOT NULL,
        system TEXT NOT NULL, settings TEXT NOT NULL, draft TEXT NOT NULL, leaf TEXT,
        created REAL NOT NULL, updated REAL NOT NULL)""",
    """CREATE TABLE turn (
        number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE,
        conversation TEXT NOT NULL REFERENCES conversation (id) ON DELETE CASCADE,
        parent TEXT, role TEXT NOT NULL CHECK (role IN ('user', 'assistant')),
        text TEXT NOT NULL, state TEXT NOT NULL
            CHECK (state IN ('done', 'writing', 'stopped', 'cut', 'failed')),
        created REAL NOT NULL, model TEXT NOT NULL,
        rating INTEGER NOT NULL CHECK (rating IN (-1, 0, 1)),
        settings TEXT NOT NULL, ending TEXT NOT NULL, num_tokens INTEGER NOT NULL)""",
    "CREATE INDEX turn_of ON turn (conversation)",
    """CREATE TABLE chunk (
        number INTEGER PRIMARY KEY,
        turn TEXT NOT NULL REFERENCES turn (id) ON DELETE CASCADE, tokens BLOB NOT NULL)""",
    "CREATE INDEX chunk_of ON chunk (turn)",
    "CREATE TABLE preference (name TEXT PRIMARY KEY NOT NULL, value TEXT NOT NULL)",
)
# Trigrams find any part of a word, in scripts without spaces too.
_FULL_TEXT = (
    """CREATE VIRTUAL TABLE turn_text USING fts5 (
        text, content = 'turn', content_rowid = 'number', tokenize = 'trigram')""",
    "INSERT INTO turn_text (turn_text) VALUES ('rebuild')",
    """CREATE TRIGGER turn_added AFTER INSERT ON turn BEGIN
        INSERT INTO turn_text (rowid, text) VALUES (new.number, new.text); END""",
    """CREATE TRIGGER turn_removed AFTER DELETE ON turn BEGIN
        INSERT INTO turn_text (turn_text, rowid, text) VALUES ('delete', old.number, old.text);
        END""",
    """CREATE TRIGGER turn_changed AFTER UPDATE OF text ON turn WHEN old.text IS NOT new.text BEGIN
        INSERT INTO turn_text (turn_text, rowid, text) VALUES ('delete', old.number, old.text);
        INSERT INTO turn_text (rowid, text) VALUES (new.number, new.text); END""",
)
MIGRATIONS = (_TABLES, _FULL_TEXT)
"""Step N makes version N of version N - 1. A step that was once released never changes."""
VERSION = len(MIGRATIONS)

COLUMNS = {
    "conversation": (
        *("id", "title", "model", "system", "settings", "draft", "leaf", "created", "updated"),
    ),
    "turn": (
        *("number", "id", "conversation", "parent", "role", "text", "state", "created"),
        *("model", "rating", "settings", "ending", "num_tokens"),
    ),
    "chunk": ("number", "turn", "tokens"),
    "preference": ("name", "value"),
}
"""Without the index of texts, which can be made again."""
_NO_TEXT = {"number", "created", "updated", "rating", "num_tokens", "tokens"}


def connect(
    database: str, *, is_uri: bool = False, patience_seconds: float = 5
) -> sqlite3.Connection:
    """A connection that begins transactions only when told, for one thread at a time."""
    connection = sqlite3.connect(
        database,
        timeout=patience_seconds,
        isolation_level=None,
        check_same_thread=False,
        uri=is_uri,
    )
    connection.text_factory = _decode
    return connection


def prepare(connection: sqlite3.Connection) -> None:
    """Make what is committed durable, and what is deleted unreadable."""
    for pragma in (
        "journal_mode = TRUNCATE",  # before 3.51.3, a WAL of several writers can be damaged
        "synchronous = FULL",
        "fullfsync = ON",
        "foreign_keys = ON",
        "secure_delete = ON",
        "temp_store = MEMORY",
    ):
        connection.execute(f"PRAGMA {pragma}")


def version_of(connection: sqlite3.Connection) -> int:
    """The version of a file; 0 is an empty one."""
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def migrate(connection: sqlite3.Connection, steps: Iterable[Iterable[str]] = MIGRATIONS) -> None:
    """Take an empty or older file through all steps that it lacks, or through none."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        for number, step in enumerate(steps, 1):
            if number > version_of(connection):
                for statement in step:
                    connection.execute(statement)
                connection.execute(f"PRAGMA user_version = {number}")
        connection.execute("COMMIT")
    except BaseException:
        with suppress(sqlite3.Error):
            connection.execute("ROLLBACK")
        raise


def insertion(table: str, *, is_numbered: bool = False, conflict: str = "") -> str:
    """The statement that inserts a row: its values in the order of ``COLUMNS``."""
    columns = _columns(table, is_numbered=is_numbered)
    marks = ["?" if column in _NO_TEXT else "CAST(? AS TEXT)" for column in columns]
    return f"INSERT {conflict} INTO {table} ({', '.join(columns)}) VALUES ({', '.join(marks)})"


def upsertion(table: str, key: str) -> str:
    """The statement that inserts a row, or updates the one with the same key."""
    names = _columns(table, is_numbered=False)
    changes = ", ".join(f"{name} = excluded.{name}" for name in names if name != key)
    return f"{insertion(table)} ON CONFLICT ({key}) DO UPDATE SET {changes}"


def selection(table: str) -> str:
    """The beginning of a query of rows as they are inserted."""
    return f"SELECT {', '.join(_columns(table, is_numbered=False))} FROM {table}"


def _columns(table: str, *, is_numbered: bool) -> list[str]:
    return [column for column in COLUMNS[table] if is_numbered or column != "number"]


def bound(*values: Any) -> tuple[Any, ...]:
    """Values as they are bound: texts as bytes."""
    return tuple(
        value.encode("utf-8", "surrogatepass") if isinstance(value, str) else value
        for value in values
    )


def _decode(data: bytes) -> str:
    try:
        return data.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:  # a damaged file
        return data.decode("utf-8", "replace")
