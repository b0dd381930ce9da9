"""Which files a corpus has: any mix of files and folders, walked once, with every skip named."""

import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tissu_core.errors import InputError, nearest

# Folders that hold what somebody else wrote, or what a program made.
DEPENDENCY_FOLDERS = frozenset(
    {"node_modules", "site-packages", "dist-packages", "__pycache__", "venv", "target", "vendor"}
)


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file to read, as it was when the folder was walked."""

    name: str
    """The path, as text: a corpus may have hundreds of thousands."""
    num_bytes: int
    identity: tuple[int, int, int, int]
    """Device, inode, size and modification time in ns: the same identity, the same contents."""

    @property
    def path(self) -> Path:
        """Where it is."""
        return Path(self.name)


@dataclass(frozen=True, slots=True)
class Skipped:
    """A file or folder that is not read, and why."""

    path: Path
    reason: str
    lost_bytes: int = 0
    """Its size, if it is text that could not be decoded."""


def iter_sources(
    corpus: Sequence[str],
    only: Sequence[str] = (),
    exclude: Sequence[str] = (),
    *,
    follow_symlinks: bool = False,
) -> Iterator[SourceFile | Skipped]:
    """Walk files and folders in the order given, each folder sorted by name, each once.

    Raises:
        InputError: If a path does not exist; names the nearest that does.
    """
    walk = _Walk(tuple(only), frozenset(exclude), follows=follow_symlinks)
    seen: set[tuple[int, int, int, int]] = set()
    for path in check_paths(corpus):
        for found in walk.enter(path, path.resolve()) if path.is_dir() else [_look_at(path)]:
            if isinstance(found, Skipped):
                yield found
            elif found.identity in seen:
                yield Skipped(found.path, "read already")
            else:
                seen.add(found.identity)
                yield found


def check_paths(corpus: Sequence[str]) -> list[Path]:
    """The paths of a corpus, all of which exist.

    Raises:
        InputError: If one does not; names the nearest that does.
    """
    paths = [Path(given).expanduser() for given in corpus]
    for path in paths:
        if not os.path.exists(path):  # noqa: PTH110  never raises
            raise missing_path(path)
    return paths


def missing_path(path: Path) -> InputError:
    """The error for a path that is not there, with the nearest name beside it."""
    parent = path.parent
    names = [entry.name for entry in parent.iterdir()] if parent.is_dir() else []
    close = nearest(path.name, names, limit=1)
    hint = f"did you mean {parent / close[0]}?" if close else "check the path"
    return InputError(f"there is no file or folder {path}", hint=hint)


class _Walk:
    """Enters each folder once, however many links and arguments lead to it."""

    def __init__(self, only: tuple[str, ...], exclude: frozenset[str], *, follows: bool) -> None:
        self._only, self._excluded, self._follows = only, DEPENDENCY_FOLDERS | exclude, follows
        self._entered: set[tuple[int, int]] = set()

    def enter(self, folder: Path, root: Path) -> Iterator[SourceFile | Skipped]:
        try:
            facts = folder.stat()
            entries = sorted(os.scandir(folder), key=lambda entry: os.fsencode(entry.name))
        except OSError as error:
            yield Skipped(folder, _why(error))
            return
        place = (facts.st_dev, facts.st_ino)
        if place in self._entered:
            yield Skipped(folder, "read already")
            return
        self._entered.add(place)
        for entry in entries:
            yield from self._look(entry, folder / entry.name, root)

    def _look(
        self, entry: "os.DirEntry[str]", path: Path, root: Path
    ) -> Iterator[SourceFile | Skipped]:
        if entry.name.startswith("."):
            yield Skipped(path, "hidden")
        elif entry.is_dir(follow_symlinks=self._follows):
            if entry.name in self._excluded:
                yield Skipped(path, "excluded folder")
            else:
                yield from self.enter(path, root)
        elif entry.is_symlink() and not self._follows and not _is_file_inside(path, root):
            yield Skipped(path, "link that leaves the folder, or to a folder; --follow-symlinks")
        elif self._only and not entry.name.endswith(self._only):
            yield Skipped(path, f"not {' or '.join(self._only)}")
        else:
            yield _look_at(path)


def _is_file_inside(path: Path, root: Path) -> bool:
    try:
        target = path.resolve(strict=True)
    except (OSError, RuntimeError):
        return False
    return target.is_file() and target.is_relative_to(root)


def _look_at(path: Path) -> SourceFile | Skipped:
    try:
        facts = path.stat()
    except OSError as error:
        return Skipped(path, _why(error))
    if not stat.S_ISREG(facts.st_mode):
        return Skipped(path, "not a regular file")  # opening a FIFO would hang
    if facts.st_size == 0:
        return Skipped(path, "empty")
    return SourceFile(str(path), facts.st_size, identity_of(facts))


def identity_of(facts: os.stat_result) -> tuple[int, int, int, int]:
    """What tells one state of a file from another without reading it."""
    return (facts.st_dev, facts.st_ino, facts.st_size, facts.st_mtime_ns)


def _why(error: OSError) -> str:
    return (error.strerror or "unreadable").lower()
