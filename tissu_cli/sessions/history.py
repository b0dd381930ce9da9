"""Every conversation that was held: kept as it is written, and found again.

Locks and the search are imported where they are used: the chat's first picture needs neither, and
filelock alone takes 10 ms.
"""

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tissu_cli.sessions import rows
from tissu_cli.sessions.chat_file import LOCKS, ChatFile
from tissu_cli.sessions.conversation import Conversation, Turn
from tissu_cli.sessions.schema import bound, upsertion
from tissu_core.errors import BusyError, InputError, ResourceError, nearest

if TYPE_CHECKING:
    from filelock import FileLock

    from tissu_cli.sessions.search import Found
    from tissu_core.events.replies import TokenGenerated

_KEEP_PREFERENCE = upsertion("preference", "name")
_MOST_NAMED = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A conversation in a list."""

    id: str
    title: str
    model: str
    updated: float
    num_messages: int
    """Of all paths."""


class History:
    """The conversations of one person. What a method was given is on the disk when it returns.

    Whatever the file lacks of a conversation, because it was removed or replaced meanwhile, is
    written again from memory.

    Raises, in every method:
        BusyError: If another process writes to the file for more than five seconds.
        ResourceError: If the disk refuses.
        InputError: If a newer tissu made the file and it would be changed.
    """

    def __init__(self, file: ChatFile) -> None:
        self._file = file
        self._held: dict[str, FileLock] = {}
        self._deleted: set[str] = set()

    @classmethod
    def open(cls, path: Path) -> "History":
        """The history in a file, which is made, brought up to date or mended if need be."""
        return cls(ChatFile(path))

    @property
    def notices(self) -> list[str]:
        """What a person should know of the file; grows."""
        return self._file.notices

    @property
    def is_read_only(self) -> bool:
        """Whether a newer tissu made the file."""
        return self._file.is_newer

    def close(self) -> None:
        """Let the file and every conversation go."""
        for id in [*self._held]:
            self.release(id)
        self._file.close()

    def save(self, conversation: Conversation) -> None:
        """Keep what belongs to a conversation as a whole: title, settings, draft, path."""
        self._keep(conversation, lambda connection: rows.keep(connection, conversation))

    def add(self, conversation: Conversation, turn: Turn) -> None:
        """Keep a turn, whatever it holds by now."""
        self._keep(conversation, lambda connection: rows.keep(connection, conversation, turn))

    finish = rate = add

    def append(
        self, conversation: Conversation, turn: Turn, new_tokens: "Sequence[TokenGenerated]"
    ) -> None:
        """Keep the text of a turn so far, and the last of its tokens."""
        self._keep(
            conversation,
            lambda connection: rows.append(connection, conversation, turn, new_tokens),
        )

    def forget(self, conversation: Conversation, turn: Turn) -> None:
        """Remove a turn that the conversation no longer has."""
        self._keep(conversation, lambda connection: rows.remove(connection, conversation, turn))

    def _keep(self, conversation: Conversation, work: Callable[[sqlite3.Connection], None]) -> None:
        """Write, unless it was deleted meanwhile: a reply's last words do not bring it back."""

        def keep(connection: sqlite3.Connection) -> None:
            if conversation.id not in self._deleted:
                work(connection)

        self._file.write(keep)

    def load(self, id: str) -> Conversation:
        """A conversation as it was kept; a reply that was being written has stopped.

        Raises:
            InputError: If there is none.
        """
        return self._file.read(lambda connection: rows.load(connection, id))

    def newest(self) -> Conversation | None:
        """The conversation that was continued last."""
        entries = self.list(1)
        return self.load(entries[0].id) if entries else None

    def all(self) -> Iterator[Conversation]:
        """Every conversation, the one continued last first."""
        for entry in self.list(-1):
            with suppress(InputError):  # deleted meanwhile
                yield self.load(entry.id)

    def search(self, text: str, limit: int) -> "list[Found]":
        """Conversations in which a message, or the title, holds all the words of ``text``."""
        from tissu_cli.sessions import search  # noqa: PLC0415

        words = search.words_of(text)
        if not words:
            return []
        return self._file.read(lambda connection: search.find(connection, words, limit))

    def find(
        self, given: str, *, way: str = "--session", others: str = "tissu chat"
    ) -> Conversation:
        """The conversation with this beginning of an id, this title, or this part of a title.

        ``way`` is how one is named where the person types, ``others`` what to type instead.

        Raises:
            InputError: If there is none, or more than one; names the nearest.
        """
        entries = self.list(-1)
        folded = given.casefold()
        matches = [entry for entry in entries if given and entry.id.startswith(given)]
        if len(matches) != 1:
            matches = [entry for entry in entries if given and entry.title == given]
        if not matches:
            matches = [entry for entry in entries if given and folded in entry.title.casefold()]
        if len(matches) == 1:
            return self.load(matches[0].id)
        if matches:
            raise InputError(
                f"{len(matches)} conversations are called {given!r}",
                hint=" or ".join(f"{way} {entry.id}" for entry in matches[:_MOST_NAMED]),
            )
        close = nearest(given, [entry.title for entry in entries if entry.title])
        raise InputError(
            f"there is no conversation {given!r}",
            hint=f"did you mean {' or '.join(map(repr, close))}?" if close else others,
        )

    def rename(self, id: str, title: str) -> None:
        """Give a conversation another title.

        Raises:
            InputError: If there is none.
        """
        self._change("UPDATE conversation SET title = CAST(? AS TEXT) WHERE id = ?", title, id)

    def delete(self, id: str) -> None:
        """Remove a conversation for good.

        Raises:
            InputError: If there is none.
            BusyError: If it is open in another terminal.
        """
        self.hold(id)
        try:
            self._deleted.add(id)
            self._change("DELETE FROM conversation WHERE id = ?", id)
            # The index drops words that went only when it is merged: 1.3 s for 10 MB of texts.
            self._file.write(
                lambda connection: connection.execute(
                    "INSERT INTO turn_text (turn_text) VALUES ('optimize')"
                )
            )
        except BaseException:
            self._deleted.discard(id)  # it is still there, or never was: what is said is kept
            raise
        finally:
            lock = self.release(id)
        if lock is not None:
            with suppress(OSError):
                Path(lock.lock_file).unlink()

    def prompts(self, limit: int) -> list[str]:
        """What the person said in all conversations, each text once, the newest first."""
        query = (
            "SELECT text FROM turn WHERE role = 'user' GROUP BY text "
            "ORDER BY max(number) DESC LIMIT ?"
        )
        return self._file.read(
            lambda connection: [text for (text,) in connection.execute(query, (limit,))]
        )

    def get(self, name: str) -> str | None:
        """A preference of the person, such as the theme; None if it was never set."""
        query = "SELECT value FROM preference WHERE name = CAST(? AS TEXT)"
        row = self._file.read(lambda connection: connection.execute(query, bound(name)).fetchone())
        return None if row is None else str(row[0])

    def set(self, name: str, value: str) -> None:
        """Keep a preference."""
        self._file.write(
            lambda connection: connection.execute(_KEEP_PREFERENCE, bound(name, value))
        )

    def hold(self, id: str) -> None:
        """Be the one terminal that has this conversation open, until it is released or this ends.

        Raises:
            BusyError: If another one has.
        """
        if self._file.path is None or id in self._held:
            return
        from filelock import FileLock, Timeout  # noqa: PLC0415

        folder = self._file.path.with_name(LOCKS)
        lock = FileLock(folder / f"{id}.lock", timeout=0, mode=0o600, thread_local=False)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            lock.acquire()
        except Timeout as error:
            named = next((entry.title for entry in self.list(-1) if entry.id == id), "") or id
            raise BusyError(
                f"this conversation is open in another terminal: {named}",
                safe="that one goes on unharmed",
                hint="tissu chat, for a new one; or tissu chat --session with the ID of another",
            ) from error
        except OSError as error:
            raise ResourceError(
                f"cannot write to {folder}: {error.strerror}",
                hint="mend that disk, or: tissu chat --no-history",
            ) from error
        self._held[id] = lock

    def release(self, id: str) -> "FileLock | None":
        """Let other terminals have a conversation; the lock that was let go."""
        lock = self._held.pop(id, None)
        if lock is not None:
            lock.release()
        return lock

    # The last method, since below it "list" is no longer the type.
    def list(self, limit: int) -> list[Entry]:
        """Conversations that have a message or a draft, the one continued last first; -1 is all."""
        query = """
            SELECT id, title, model, updated,
                (SELECT count(*) FROM turn WHERE turn.conversation = conversation.id) AS messages
            FROM conversation WHERE messages OR draft <> '' ORDER BY updated DESC, id LIMIT ?"""
        rows = self._file.read(lambda connection: connection.execute(query, (limit,)).fetchall())
        return [
            Entry(id=id, title=title, model=model, updated=updated, num_messages=messages)
            for id, title, model, updated, messages in rows
        ]

    def _change(self, statement: str, *values: str) -> None:
        """Change a row; raise if there is none."""

        def change(connection: sqlite3.Connection) -> None:
            # ids are compared as text
            if not connection.execute(statement, bound(*values[:-1]) + values[-1:]).rowcount:
                raise InputError(f"there is no conversation {values[-1]}", hint="tissu chat")

        self._file.write(change)


class NoHistory(History):
    """The same for as long as it lives: nothing is written anywhere."""

    def __init__(self) -> None:
        super().__init__(ChatFile(None))
