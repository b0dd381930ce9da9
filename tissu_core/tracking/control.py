"""Requests to a run, from whoever watches it: lines of JSON appended to ``control.jsonl``.

The run reads the file between two steps, at the cost of asking the system for its size. Whatever
the file is or becomes, the run goes on.
"""

import json
import os
import stat
import time
from contextlib import suppress
from pathlib import Path
from typing import cast, get_args

from tissu_core.errors import ResourceError
from tissu_core.events.shared import Noticed
from tissu_core.events.training import Request

CONTROL_FILE = "control.jsonl"
_MOST_BYTES = 1 << 16
"""So much is read at once; nobody asks for that much between two steps."""
_REQUESTS: tuple[str, ...] = get_args(Request)


class Control:
    """Reads what is asked of a run from now on; what was asked of an earlier session is over."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / CONTROL_FILE
        self._offset = self._size() or 0
        self._is_warned = False

    def poll(self) -> list[Request | Noticed]:
        """What was asked since the last call; a word, once, on lines that ask for nothing."""
        size = self._size()
        if size == self._offset:
            return []
        if size is None:  # gone, and perhaps made anew
            self._offset = 0
            return []
        if size < self._offset:  # cut by somebody: what is left was read
            self._offset = size
            return []
        if size - self._offset > _MOST_BYTES:
            self._offset = size
            return self._warn()
        return self._requests_in(self._read(size - self._offset))

    def _size(self) -> int | None:
        """The file's size; None where there is no ordinary file: a pipe would wait for a writer."""
        try:
            facts = self._path.stat()
        except (OSError, ValueError):
            return None
        return facts.st_size if stat.S_ISREG(facts.st_mode) else None

    def _read(self, num_bytes: int) -> list[bytes]:
        """Whole lines; one that is still being written waits."""
        try:
            with self._path.open("rb") as file:
                file.seek(self._offset)
                data = file.read(num_bytes)
        except OSError:
            return []
        whole = data[: data.rfind(b"\n") + 1]
        self._offset += len(whole)
        return whole.split(b"\n")

    def _requests_in(self, lines: list[bytes]) -> list[Request | Noticed]:
        asked: list[Request | Noticed] = []
        for line in filter(bytes.strip, lines):
            request = _request_of(line)
            asked += self._warn() if request is None else [request]
        return asked

    def _warn(self) -> list[Request | Noticed]:
        if self._is_warned:
            return []
        self._is_warned = True
        text = f"{CONTROL_FILE} has lines that ask for nothing; they are passed over"
        return [Noticed(level="warning", text=text)]


def _request_of(line: bytes) -> Request | None:
    try:
        asked = json.loads(line)["request"]
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    return cast("Request", asked) if asked in _REQUESTS else None


def request(directory: Path, what: Request) -> None:
    """Ask something of the run in a directory; it answers with an event when it did it.

    Raises:
        ResourceError: If the file cannot be written.
    """
    path = directory / CONTROL_FILE
    line = json.dumps({"time": round(time.time(), 3), "request": what}) + "\n"
    flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | getattr(os, "O_NONBLOCK", 0)
    try:
        file = os.open(path, flags, 0o600)
        try:
            os.write(file, (b"\n" if _ends_open(file) else b"") + line.encode())
        finally:
            os.close(file)
    except OSError as error:
        raise ResourceError(
            f"cannot write to {path}: {error.strerror}", hint=f"see what it is: ls -l {path}"
        ) from error


def _ends_open(file: int) -> bool:
    """Whether somebody's half line is at the end."""
    with suppress(OSError):
        os.lseek(file, -1, os.SEEK_END)
        return os.read(file, 1) != b"\n"
    return False
