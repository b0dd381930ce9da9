"""Single files that are whole or absent, and what a disk says of itself."""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from tissu_core.errors import InputError, IntegrityError, ResourceError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

TEMPORARY = ".tmp-"
"""What the name of a file or directory begins with while it is written."""
_POINTER = b"version https://git-lfs.github.com/spec/"


@contextmanager
def guard_write(path: Path) -> Iterator[None]:
    """The one place where a disk that refuses becomes an answer.

    Raises:
        ResourceError: If the disk is full, read-only or failing.
    """
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise ResourceError(
            f"cannot write {path}: {reason[:1].lower()}{reason[1:]}",
            safe="what was there before, and every finished checkpoint",
            hint="free or mend that disk, or name another place with --out or TISSU_HOME",
        ) from error


def write_text(path: Path, text: str) -> None:
    """Replace ``path`` by ``text``, so that a crash leaves the old file or the new one.

    Raises:
        ResourceError: If the disk is full, read-only or failing.
    """
    temporary = path.with_name(f"{TEMPORARY}{os.getpid()}-{path.name}")
    with guard_write(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with temporary.open(
                "w", encoding="utf-8", errors="surrogateescape", newline="\n"
            ) as file:
                file.write(text)
                file.flush()
                sync_file(file.fileno())
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
        sync_directory(path.parent)


def append_text(path: Path, text: str) -> None:
    """Put ``text`` behind what the file holds, and hand it to the system.

    Raises:
        ResourceError: If the disk is full, read-only or failing; a part may have been written.
    """
    with guard_write(path), path.open("ab") as file:
        file.write(text.encode())


def write_json(path: Path, value: Any) -> None:
    """Replace ``path`` by ``value`` as JSON."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def refuse_pointer(path: Path) -> None:
    """Refuse what git leaves where Git LFS has not fetched a file.

    Raises:
        InputError: If ``path`` is one.
    """
    with path.open("rb") as file:
        if file.read(len(_POINTER)) == _POINTER:
            raise InputError(
                f"{path} is a Git LFS pointer of {path.stat().st_size} bytes, not the file itself",
                hint="git lfs pull, where the model was cloned",
            )


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file.

    Raises:
        InputError: If it is a Git LFS pointer.
        IntegrityError: If the file is not a JSON object.
    """
    try:
        value = json.loads(path.read_text(encoding="utf-8", errors="surrogateescape"))
    except (ValueError, RecursionError) as error:
        refuse_pointer(path)
        raise IntegrityError(
            f"{path} is not JSON ({error})", hint="restore the file, or use another one"
        ) from error
    if not isinstance(value, dict):
        raise IntegrityError(f"{path} is not a JSON object", hint="restore the file")
    return value


def sync_directory(path: Path) -> None:
    """Make renames in ``path`` durable, where the platform can."""
    if os.name != "posix":
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        sync_file(descriptor)
    finally:
        os.close(descriptor)


def sync_file(descriptor: int) -> None:
    """Onto the disk itself: on macOS, fsync alone stops at the drive's cache."""
    if hasattr(fcntl, "F_FULLFSYNC"):
        with suppress(OSError):  # network file systems know only fsync
            fcntl.fcntl(descriptor, fcntl.F_FULLFSYNC)
            return
    os.fsync(descriptor)


def sha256_file(path: Path) -> str:
    """The SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def free_bytes(directory: Path) -> int:
    """Room on the disk of a directory that may not be there yet."""
    there = next(path for path in (directory, *directory.absolute().parents) if path.exists())
    return shutil.disk_usage(there).free
