"""Files that are whole or absent: atomic writes, and directories sealed with a manifest.

A sealed directory holds ``tissu.json``: the SHA-256 and size of every other file and a seal over
itself, written last. It is filled under a temporary name, synced, read back, and renamed; a
directory without its manifest was never saved. safetensors has no checksum of its own (a flipped
bit in tensor data loads silently), which is why reading goes through ``verify``.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from tissu_core.errors import InputError, IntegrityError, ResourceError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

MANIFEST = "tissu.json"
MANIFEST_VERSION = 2
"""Version 1 had no seal, and is still read."""
_SEAL = "seal"
_TEMPORARY, _ASIDE = ".tmp-", "old-"
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
    temporary = path.with_name(f"{_TEMPORARY}{os.getpid()}-{path.name}")
    with guard_write(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with temporary.open(
                "w", encoding="utf-8", errors="surrogateescape", newline="\n"
            ) as file:
                file.write(text)
                file.flush()
                _sync(file.fileno())
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
        _sync(descriptor)
    finally:
        os.close(descriptor)


def _sync(descriptor: int) -> None:
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


@contextmanager
def sealed_directory(path: Path, facts: Mapping[str, Any]) -> Iterator[Path]:
    """Fill a new directory that appears at ``path`` whole, sealed by a manifest with ``facts``.

    Yields a temporary directory to write into. A directory already at ``path`` is replaced.

    Raises:
        ResourceError: If the disk is full, read-only or failing.
    """
    temporary = path.with_name(f"{_TEMPORARY}{os.getpid()}-{path.name}")
    with guard_write(path):
        remove_directory(temporary)
        temporary.mkdir(parents=True)
        try:
            yield temporary
            _seal(temporary, facts)
            _read_back(temporary)
            _move_in(temporary, path)
        except BaseException:
            remove_directory(temporary)
            raise


def _read_back(directory: Path) -> None:
    try:
        verify(directory)
    except IntegrityError as error:
        raise ResourceError(
            f"the disk gave back other bytes than were written: {error.message}",
            safe="what was there before, and every finished checkpoint",
            hint="mend that disk, or name another place with --out or TISSU_HOME",
        ) from error


def _move_in(temporary: Path, path: Path) -> None:
    """Only renames stand between the old and the new."""
    aside = path.with_name(f"{_TEMPORARY}{os.getpid()}-{_ASIDE}{path.name}")
    if path.exists():
        path.rename(aside)
    try:
        temporary.rename(path)
    except OSError:
        if aside.exists():
            aside.rename(path)
        raise
    sync_directory(path.parent)
    remove_directory(aside)


def _seal(directory: Path, facts: Mapping[str, Any]) -> None:
    files: dict[str, dict[str, Any]] = {}
    for path in sorted(directory.iterdir()):
        with path.open("rb+") as file:
            _sync(file.fileno())
        files[path.name] = {"sha256": sha256_file(path), "num_bytes": path.stat().st_size}
    manifest = {**facts, "version": MANIFEST_VERSION, "files": files}
    write_json(directory / MANIFEST, {**manifest, _SEAL: _seal_of(manifest)})


def _seal_of(manifest: Mapping[str, Any]) -> str:
    """The SHA-256 of all a manifest says but this."""
    said = {name: value for name, value in manifest.items() if name != _SEAL}
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


def is_sealed(directory: Path) -> bool:
    """Whether the directory was saved to its end."""
    return (directory / MANIFEST).is_file()


def read_manifest(directory: Path) -> dict[str, Any]:
    """The manifest of a sealed directory.

    Raises:
        IntegrityError: If it is missing, not JSON, or not what was sealed.
        InputError: If a newer tissu wrote it.
    """
    path = directory / MANIFEST
    if not path.is_file():
        raise IntegrityError(
            f"{directory} has no {MANIFEST}: it was never saved to its end",
            hint="use another checkpoint",
        )
    manifest = read_json(path)
    version = manifest.get("version")
    if not isinstance(version, int):
        raise IntegrityError(f"{path} names no format version", hint="use another checkpoint")
    if version > MANIFEST_VERSION:
        raise InputError(
            f"{path} has format version {version}; this tissu reads up to {MANIFEST_VERSION}",
            hint="upgrade tissu",
        )
    if version != 1 and manifest.get(_SEAL) != _seal_of(manifest):
        raise IntegrityError(
            f"{path} is damaged: its seal does not fit what it says", hint="use another checkpoint"
        )
    if not _names_files(manifest.get("files")):
        raise IntegrityError(f"{path} names no files by SHA-256", hint="use another checkpoint")
    return manifest


def _names_files(files: Any) -> bool:
    return isinstance(files, dict) and all(
        Path(name).name == name and isinstance(facts, dict) and isinstance(facts.get("sha256"), str)
        for name, facts in files.items()
    )


def verify(directory: Path, only: Collection[str] = ()) -> dict[str, Any]:
    """Re-read every file of a sealed directory, or some, and return its manifest.

    Raises:
        IntegrityError: If a file is missing, shorter, longer, or has another hash.
    """
    manifest = read_manifest(directory)
    files = manifest["files"]
    for name in files if not only else files.keys() & set(only):
        path, expected = directory / name, files[name]["sha256"]
        found = sha256_file(path) if path.is_file() else "missing"
        if found != expected:
            raise IntegrityError(
                f"{path} is damaged: SHA-256 is {found[:12]}, the manifest says {expected[:12]}",
                hint="use another checkpoint",
            )
    return manifest


def free_bytes(directory: Path) -> int:
    """Room on the disk of a directory that may not be there yet."""
    there = next(path for path in (directory, *directory.absolute().parents) if path.exists())
    return shutil.disk_usage(there).free


def remove_directory(path: Path) -> None:
    """Remove a directory and what is in it; its manifest first, so a half-removed one is unsaved.

    Nothing happens if it does not exist.
    """
    (path / MANIFEST).unlink(missing_ok=True)
    shutil.rmtree(path, ignore_errors=True)


def remove_leftovers(directory: Path, *, is_locked: bool = False) -> None:
    """Remove what a killed process left half-written in ``directory``.

    A directory that was set aside while its replacement moved in is put back if that never came.
    ``is_locked`` says that nobody else writes there: a live process of that number, which a
    restarted machine or container hands out again, is then another one.
    """
    for path in directory.glob(f"{_TEMPORARY}*"):
        pid, _, name = path.name.removeprefix(_TEMPORARY).partition("-")
        if not is_locked and _is_alive(pid):
            continue
        replaced = directory / name.removeprefix(_ASIDE)
        if name.startswith(_ASIDE) and is_sealed(path) and not replaced.exists():
            path.rename(replaced)
            continue
        if path.is_dir():
            remove_directory(path)
        else:
            path.unlink(missing_ok=True)


def _is_alive(pid: str) -> bool:
    """Whether another process of this number runs; it may be writing."""
    if os.name != "posix" or not pid.isdigit() or int(pid) == os.getpid():
        return False
    try:
        os.kill(int(pid), 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True
