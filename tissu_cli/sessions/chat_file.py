"""The file of conversations: private, durable, brought up to date, and mended when it is damaged.

Several terminals may write to it, one transaction at a time. What makes, mends and locks a file is
imported where that is done: most files are as they should be, and the chat's first picture waits.
"""

import os
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import TypeVar

from tissu_cli.sessions.private_file import make_beside, make_private
from tissu_cli.sessions.schema import VERSION, connect, migrate, prepare, version_of
from tissu_core.errors import BusyError, InputError, IntegrityError, ResourceError, TissuError

Answer = TypeVar("Answer")
LOCKS = "chats-locks"
_PATIENCE_SECONDS = 5.0


class ChatFile:
    """A connection to the file, or to nothing but memory without a path; any thread may use it.

    Raises, in every method:
        BusyError: If another process writes to it for more than five seconds.
        ResourceError: If it cannot be read or written.
    """

    def __init__(self, path: Path | None) -> None:
        self.path = Path(os.path.realpath(path)) if path is not None else None
        self.notices: list[str] = []
        """What a person should know: a copy that was made, what was recovered."""
        self._version = VERSION
        self._identity: tuple[int, ...] | None = None
        self._lock = threading.RLock()
        self._connection = self._open()

    @property
    def is_newer(self) -> bool:
        """Whether a newer tissu made the file, so that it is only read."""
        return self._version > VERSION

    def read(self, work: Callable[[sqlite3.Connection], Answer]) -> Answer:
        """What ``work`` gives, which sees one state of the file."""
        return self._mended(lambda: self._transact("DEFERRED", work))

    def write(self, work: Callable[[sqlite3.Connection], Answer]) -> Answer:
        """The same for changes: they are on the disk when this returns, or none of them is.

        Raises:
            InputError: If a newer tissu made the file.
        """
        return self._mended(lambda: self._transact("IMMEDIATE", work))

    def close(self) -> None:
        """Let the file go."""
        with self._lock:
            self._connection.close()

    def _mended(self, work: Callable[[], Answer]) -> Answer:
        with self._lock:
            try:
                return work()
            except IntegrityError:
                if self.path is None or self.is_newer:
                    raise
                self._connection.close()
                self._connection = self._open(is_damaged=True)
                return work()

    def _transact(self, kind: str, work: Callable[[sqlite3.Connection], Answer]) -> Answer:
        self._follow()
        if kind == "IMMEDIATE" and self.is_newer:
            raise InputError(
                f"{self.path} has format version {self._version}; this tissu writes version "
                f"{VERSION}",
                safe="that file is untouched; what it holds can be read and exported",
                hint="upgrade tissu, or: tissu chat --no-history",
            )
        with self._told():
            self._connection.execute(f"BEGIN {kind}")
            try:
                answer = work(self._connection)
                self._connection.execute("COMMIT")
            except BaseException:
                with suppress(sqlite3.Error):  # a full disk has rolled it back already
                    self._connection.execute("ROLLBACK")
                raise
        return answer

    def _follow(self) -> None:
        """Open the file that is there now, where it was removed or replaced."""
        if self.path is None or _identity_of(self.path) == self._identity:
            return
        self._connection.close()
        self._identity = None
        self._connection = self._open()
        self.notices.append(
            f"{self.path} was removed or replaced while it was open; what you write goes on in "
            "the file that is there now"
        )

    def _open(self, *, is_damaged: bool = False) -> sqlite3.Connection:
        if self.path is None:
            connection = connect(":memory:")
            prepare(connection)
            migrate(connection)
            return connection
        with self._told():
            self._version = _version_in(self.path)
        if self.is_newer:
            with self._told():
                connection = connect(f"{self.path.as_uri()}?mode=ro", is_uri=True)
        elif is_damaged or (known := self._open_at_once(self.path)) is None:
            with self._told(), _alone(self.path):
                if is_damaged and _identity_of(self.path) == self._identity:
                    self._recover(self.path)
                connection = self._open_or_recover(self.path)
        else:
            connection = known
        self._version = max(self._version, VERSION)
        self._identity = _identity_of(self.path)
        return connection

    def _open_at_once(self, path: Path) -> sqlite3.Connection | None:
        """A file of this version that is whole, though others may be in it; None for any other."""
        if self._version != VERSION:
            return None
        with self._told():
            before = _identity_of(path)
            make_private(path)
            try:
                connection = self._open_checked(path)
            except IntegrityError:
                return None
            if _identity_of(path) == before:
                return connection
            connection.close()  # another process has just mended it
        return None

    def _open_or_recover(self, path: Path) -> sqlite3.Connection:
        make_private(path)
        try:
            return self._open_checked(path)
        except IntegrityError:
            self._recover(path)
            return self._open_checked(path)

    def _recover(self, path: Path) -> None:
        from tissu_cli.sessions.recovery import recover  # noqa: PLC0415

        self.notices.append(recover(path))

    def _open_checked(self, path: Path) -> sqlite3.Connection:
        connection = connect(str(path), patience_seconds=_PATIENCE_SECONDS)
        try:
            with self._told():
                if connection.execute("PRAGMA quick_check(1)").fetchone() != ("ok",):
                    raise _damaged(path)
                prepare(connection)
                if 0 < version_of(connection) < VERSION:
                    self._back_up(connection, path)
                migrate(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _back_up(self, connection: sqlite3.Connection, path: Path) -> None:
        copy = make_beside(path, f"v{version_of(connection)}")
        with closing(connect(str(copy))) as target:
            connection.backup(target)
        self.notices.append(f"{path} is from an older tissu; as it was, it is kept as {copy.name}")

    @contextmanager
    def _told(self) -> Iterator[None]:
        """What sqlite and the disk refuse, as an answer."""
        where = self.path or Path(":memory:")
        try:
            yield
        except sqlite3.DatabaseError as error:
            answer = self._answer(where, error)
            if answer is None:
                raise
            raise answer from error
        except OSError as error:
            raise _refused(where, error.strerror or str(error)) from error

    def _answer(self, path: Path, error: sqlite3.DatabaseError) -> TissuError | None:
        match getattr(error, "sqlite_errorcode", 0) & 0xFF:
            case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
                return _busy(path)
            case sqlite3.SQLITE_CORRUPT | sqlite3.SQLITE_NOTADB:
                return _damaged(path)
            case sqlite3.SQLITE_ERROR if self.is_newer:  # a table or column is called otherwise now
                return InputError(
                    f"{path} has format version {self._version}; this tissu reads up to version "
                    f"{VERSION}",
                    safe="that file is untouched",
                    hint="upgrade tissu",
                )
            case (
                sqlite3.SQLITE_PERM
                | sqlite3.SQLITE_NOMEM
                | sqlite3.SQLITE_READONLY
                | sqlite3.SQLITE_IOERR
                | sqlite3.SQLITE_FULL
                | sqlite3.SQLITE_CANTOPEN
            ):
                return _refused(path, str(error))
            case _:
                return None


def _identity_of(path: Path) -> tuple[int, ...]:
    """Which file is at a path; empty if none is."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return ()
    return found.st_dev, found.st_ino


def _version_in(path: Path) -> int:
    """The version of a file, read without changing it; 0 where it is not there or cannot be told.

    It cannot where the file is damaged, or a killed transaction must first be rolled back.
    """
    if not path.exists():
        return 0
    with closing(connect(f"{path.as_uri()}?mode=ro", is_uri=True)) as connection:
        try:
            return version_of(connection)
        except sqlite3.DatabaseError:
            return 0


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Make, migrate or recover a file while no other process does."""
    from filelock import FileLock, Timeout  # noqa: PLC0415

    folder = path.with_name(LOCKS)
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / "opening.lock", mode=0o600, timeout=_PATIENCE_SECONDS)
    try:
        with lock:
            yield
    except Timeout as error:
        raise _busy(path) from error


def _busy(path: Path) -> BusyError:
    return BusyError(
        f"{path} is being written by another process",
        safe="every conversation, as it was last saved",
        hint="the same again in a moment, or: tissu chat --no-history",
    )


def _damaged(path: Path) -> IntegrityError:
    return IntegrityError(f"{path} is damaged", hint="move it away, or: tissu chat --no-history")


def _refused(path: Path, reason: str) -> ResourceError:
    return ResourceError(
        f"cannot use {path}: {reason}",
        safe="every conversation, as it was last saved",
        hint="free or mend that disk, or: tissu chat --no-history",
    )
