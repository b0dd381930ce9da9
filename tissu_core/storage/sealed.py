"""Directories that are whole or absent, sealed with a manifest of their files' hashes."""

import hashlib
import json
import os
import shutil
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tissu_core.errors import InputError, IntegrityError, ResourceError
from tissu_core.storage.files import (
    TEMPORARY,
    guard_write,
    read_json,
    sha256_file,
    sync_directory,
    sync_file,
    write_json,
)

MANIFEST = "tissu.json"
MANIFEST_VERSION = 2
"""Version 1 had no seal, and is still read."""
_SEAL, _ASIDE = "seal", "old-"
_CHUNK_BYTES = 16 << 20
"""Read between two reports of a check: about 10 ms."""


@contextmanager
def sealed_directory(path: Path, facts: Mapping[str, Any]) -> Iterator[Path]:
    """Fill a new directory that appears at ``path`` whole, sealed by a manifest with ``facts``.

    Yields a temporary directory to write into. A directory already at ``path`` is replaced.

    Raises:
        ResourceError: If the disk is full, read-only or failing.
    """
    temporary = path.with_name(f"{TEMPORARY}{os.getpid()}-{path.name}")
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
    aside = path.with_name(f"{TEMPORARY}{os.getpid()}-{_ASIDE}{path.name}")
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
            sync_file(file.fileno())
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
    for _ in iter_verify(directory, manifest["files"], only):
        pass
    return manifest


def iter_verify(
    directory: Path, files: Mapping[str, Any], only: Collection[str] = ()
) -> Iterator[tuple[int, int]]:
    """Compare files with their manifest, as ``verify``; how many bytes of how many are read."""
    files = {name: facts for name, facts in files.items() if not only or name in only}
    paths = [directory / name for name in files]
    done, total = 0, sum(path.stat().st_size for path in paths if path.is_file())
    for name, facts in files.items():
        path, expected, digest = directory / name, facts["sha256"], hashlib.sha256()
        if path.is_file():
            with path.open("rb", buffering=0) as file:
                while chunk := file.read(_CHUNK_BYTES):
                    digest.update(chunk)
                    done += len(chunk)
                    yield done, total
        found = digest.hexdigest() if path.is_file() else "missing"
        if found != expected:
            raise IntegrityError(
                f"{path} is damaged: SHA-256 is {found[:12]}, the manifest says {expected[:12]}",
                hint="use another checkpoint",
            )


def check_sizes(directory: Path, manifest: Mapping[str, Any]) -> None:
    """Compare the sizes of what can be made again with a manifest: no file is read.

    Raises:
        IntegrityError: If a file is missing, shorter or longer.
    """
    for name, facts in manifest["files"].items():
        path = directory / name
        size = path.stat().st_size if path.is_file() else 0
        if size != facts["num_bytes"]:
            raise IntegrityError(
                f"{path} has {size:,} bytes instead of {facts['num_bytes']:,}",
                safe="the corpus itself and every checkpoint",
                hint=f"remove {directory} and run the same command: it is made again",
            )


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
    for path in directory.glob(f"{TEMPORARY}*"):
        pid, _, name = path.name.removeprefix(TEMPORARY).partition("-")
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
