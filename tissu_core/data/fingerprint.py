"""The contents of a corpus as one key; files read once are remembered by inode, size and time."""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tissu_core.data.documents import NotTextError, check_text, is_json_lines
from tissu_core.data.sources import Skipped, SourceFile
from tissu_core.storage import write_text

_FORMAT = 1


@dataclass(frozen=True, slots=True)
class TextFile:
    """A file that was read to its end and is text."""

    source: SourceFile
    sha256: str


class Remembered:
    """What earlier runs found in files, by identity; lost or damaged, it is only slower."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known: dict[str, str] = {}
        self._is_changed = False
        try:
            stored = json.loads(path.read_text("utf-8"))
            if stored["format"] == _FORMAT and isinstance(stored["files"], dict):
                self._known = stored["files"]
        except (OSError, ValueError, KeyError, TypeError):
            pass

    def look_at(self, source: SourceFile, tick: Callable[[], object] = bool) -> TextFile | Skipped:
        """Whether a file is text, and its hash; read only if it is new or changed."""
        key = ":".join(map(str, (*source.identity, source.path.suffix)))
        found = self._known.get(key)
        if found is None:
            try:
                found = check_text(source.path, tick)
            except NotTextError as error:
                found = f"!{error}"
            except OSError as error:
                return Skipped(source.path, (error.strerror or "unreadable").lower())
            self._known[key] = found
            self._is_changed = True
        if found.startswith("!"):
            return Skipped(source.path, found[1:])
        return TextFile(source, found)

    def save(self) -> None:
        """Keep what was learned."""
        if self._is_changed:
            write_text(self._path, json.dumps({"format": _FORMAT, "files": self._known}))


def iter_text_files(
    sources: Iterable[SourceFile | Skipped],
    remembered: Remembered,
    tick: Callable[[], object] = bool,
) -> Iterator[TextFile | Skipped]:
    """Read each new file once; give what is text and what is skipped.

    What was learned is kept however the reading ends.
    """
    try:
        for source in sources:
            yield source if isinstance(source, Skipped) else remembered.look_at(source, tick)
    finally:
        remembered.save()


def compare_files(before: Mapping[str, str], files: Iterable[TextFile]) -> list[str]:
    """What changed since ``before`` (path to hash), a line a file; moved files have not changed."""
    now = {str(file.source.path.resolve()): file.sha256 for file in files}
    known, found = {*before.values()}, {*now.values()}
    changed = [f"changed {path}" for path in now if path in before and before[path] != now[path]]
    added = [f"added {path}" for path in now if path not in before and now[path] not in known]
    removed = [
        f"removed {path}" for path in before if path not in now and before[path] not in found
    ]
    return changed + added + removed


def corpus_key(files: Iterable[TextFile], settings: str) -> str:
    """A key of contents (in order) and of the settings that shape what is made from them."""
    digest = hashlib.sha256(settings.encode())
    for file in files:
        kind = f"{is_json_lines(file.source.path)} {file.source.path.suffix == '.gz'}"
        digest.update(f"\n{file.sha256} {kind}".encode())
    return digest.hexdigest()[:32]
