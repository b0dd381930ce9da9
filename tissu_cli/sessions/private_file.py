"""Files that only their owner reads: conversations are nobody else's business."""

import itertools
import os
import stat
import time
from contextlib import suppress
from pathlib import Path

_MODE = 0o600


def make_private(path: Path) -> None:
    """Make an empty file if there is none; one that others may read is closed to them."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        make_new(path)
    except FileExistsError:
        if os.name == "posix" and stat.S_IMODE(path.stat().st_mode) & 0o077:
            path.chmod(_MODE)


def make_new(path: Path) -> None:
    """Make an empty file.

    Raises:
        FileExistsError: If there is one.
    """
    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, _MODE))


def make_beside(path: Path, tag: str) -> Path:
    """A new empty file beside ``path``, named after it, the tag and the day."""
    stem = f"{path.name}.{tag}-{time.strftime('%Y-%m-%d')}"
    for number in itertools.count(1):
        beside = path.with_name(stem if number == 1 else f"{stem}-{number}")
        with suppress(FileExistsError):
            make_new(beside)
            return beside
    raise AssertionError


def write_private(path: Path, data: bytes) -> None:
    """Replace ``path`` by ``data``: a crash leaves the old file or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".tmp-{os.getpid()}-{path.name}")
    temporary.unlink(missing_ok=True)
    try:
        make_new(temporary)
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    sync_directory(path.parent)


def sync_directory(path: Path) -> None:
    """Make renames in ``path`` durable, where the platform can."""
    if os.name == "posix":
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
