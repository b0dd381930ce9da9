"""What can still be read of a damaged file of conversations, in a fresh one."""

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from tissu_cli.sessions.private_file import make_beside, make_private, sync_directory
from tissu_cli.sessions.schema import COLUMNS, bound, connect, insertion, migrate, prepare

_PAGE_BYTES = 4096
_NUM_PAGES = slice(28, 32)
"""Where the first page says how many there are: sqlite.org/fileformat2.html#the_database_header."""
_MOST_FAILURES = 20_000
"""Row numbers in a row that cannot be read before a table is given up: more than one page of
pointers leads to, and a third of a second."""


def recover(path: Path) -> str:
    """Put a fresh file with all readable rows in a damaged one's place, and say what was saved.

    The damaged one is copied aside. Call it with no connection open, and no other process in it.
    """
    kept = make_beside(path, "corrupt")
    shutil.copyfile(path, kept)
    journal = _journal(path)
    if journal.exists() and journal.stat().st_size:
        make_private(_journal(kept))
        shutil.copyfile(journal, _journal(kept))
    broken, fresh = (path.with_name(f".tmp-{name}-{path.name}") for name in ("broken", "fresh"))
    try:
        for file in (broken, fresh):
            _remove(file)
            make_private(file)
        shutil.copyfile(kept, broken)
        with closing(connect(str(fresh))) as connection:
            prepare(connection)
            migrate(connection)
            _mend_head(broken, fresh)
            num_conversations, num_turns = _copy_rows(broken, connection)
        journal.unlink(missing_ok=True)  # or it would be played back into the fresh file
        fresh.replace(path)
        sync_directory(path.parent)
    finally:
        for file in (broken, fresh):
            _remove(file)
    return (
        f"{path} was damaged: {num_conversations:,} conversations with {num_turns:,} messages were "
        f"recovered, and the damaged file is kept as {kept.name}"
    )


def _journal(path: Path) -> Path:
    return path.with_name(f"{path.name}-journal")


def _remove(path: Path) -> None:
    for file in (path, _journal(path)):
        file.unlink(missing_ok=True)


def _mend_head(broken: Path, fresh: Path) -> None:
    """Where the first page no longer names the tables, that of the fresh file does.

    The tables stand on the same pages in every file, since they are made by the same steps.
    """
    try:
        with closing(_open(broken)) as connection:
            for table in COLUMNS:
                connection.execute(f"SELECT 1 FROM {table} LIMIT 0")
    except sqlite3.DatabaseError:
        with fresh.open("rb") as file:
            head = bytearray(file.read(_PAGE_BYTES))
        head[_NUM_PAGES] = bytes(4)  # unknown: as many as there are
        with broken.open("r+b") as file:
            file.write(head)


def _open(path: Path) -> sqlite3.Connection:
    connection = connect(str(path))
    connection.text_factory = bytes
    connection.execute("PRAGMA writable_schema = ON")  # reads on where the size is not as it was
    return connection


def _copy_rows(broken: Path, fresh: sqlite3.Connection) -> tuple[int, int]:
    """Copy what is readable, row by row; the number of conversations and of turns."""
    fresh.execute("PRAGMA foreign_keys = OFF")
    fresh.execute("BEGIN")
    with closing(_open(broken)) as connection:
        for table in COLUMNS:
            is_numbered = "number" in COLUMNS[table]
            statement = insertion(table, is_numbered=is_numbered, conflict="OR IGNORE")
            for row in _readable(connection, table):
                fresh.execute(statement, row)
    fresh.execute("DELETE FROM chunk WHERE turn NOT IN (SELECT id FROM turn)")
    fresh.execute(
        """INSERT INTO conversation
        SELECT conversation, ?, '', '', '{}', '',
            (SELECT id FROM turn AS last WHERE last.conversation = turn.conversation
                ORDER BY number DESC LIMIT 1), min(created), max(created)
        FROM turn WHERE conversation NOT IN (SELECT id FROM conversation) GROUP BY conversation""",
        ("recovered conversation",),
    )
    fresh.execute(
        "DELETE FROM conversation WHERE draft = '' AND id NOT IN (SELECT conversation FROM turn)"
    )
    counts = fresh.execute(
        "SELECT (SELECT count(*) FROM conversation), (SELECT count(*) FROM turn)"
    ).fetchone()
    fresh.execute("COMMIT")
    return counts[0], counts[1]


def _readable(connection: sqlite3.Connection, table: str) -> Iterator[tuple[Any, ...]]:
    """Each row that can be read; where the way to the next is damaged, a higher number is tried."""
    query = (
        f"SELECT rowid, {', '.join(COLUMNS[table])} FROM {table} WHERE rowid > ? "
        "ORDER BY rowid LIMIT 1"
    )
    number, failures = 0, 0
    while failures < _MOST_FAILURES:
        try:
            row = connection.execute(query, (number,)).fetchone()
        except sqlite3.DatabaseError:
            number, failures = number + 1, failures + 1
            continue
        if row is None:
            return
        number, failures = max(row[0], number + 1), 0
        yield bound(*row[1:])
