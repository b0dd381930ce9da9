"""The contents of a corpus as one key; files read once are remembered by inode, size and time."""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tissu_core.config.data import ReadingConfig
from tissu_core.data.characters import Note, UndecodableError
from tissu_core.data.documents import check_text, kind_of
from tissu_core.data.packed import PACKINGS, NotTextError
from tissu_core.data.sources import Skipped, SourceFile
from tissu_core.storage import write_text

_FORMAT = 3
_NO_NOTES: Mapping[str, int] = {}


@dataclass(frozen=True, slots=True)
class TextFile:
    """A file that was read to its end, and is text when it is read like this."""

    source: SourceFile
    sha256: str
    reading: ReadingConfig
    notes: Mapping[str, int]
    """What is worth saying of it, and how often."""

    @property
    def is_chats(self) -> bool:
        """Whether it holds conversations instead of texts."""
        return Note.CHATS in self.notes


class Remembered:
    """What earlier runs found in files, by identity; lost or damaged, it is only slower.

    A finding is a hash, or a hash with notes, or why a file is no text: led by ``!``, or by ``?``
    if it is text of another encoding.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known: dict[str, Any] = {}
        self._is_changed = False
        try:
            stored = json.loads(path.read_text("utf-8"))
            if stored["format"] == _FORMAT and isinstance(stored["files"], dict):
                self._known = stored["files"]
        except (OSError, ValueError, KeyError, TypeError):
            pass

    def look_at(
        self, source: SourceFile, reading: ReadingConfig, tick: Callable[[], object] = bool
    ) -> TextFile | Skipped:
        """Whether a file is text, and its hash; read only if it is new or changed."""
        key = ":".join(map(str, (*source.identity, _how(source.path, reading))))
        found = self._known.get(key)
        if found is None:
            try:
                found = _find(source.path, reading, tick)
            except OSError as error:
                return Skipped(source.path, (error.strerror or "unreadable").lower())
            self._known[key] = found
            self._is_changed = True
        sha256, notes = (found, _NO_NOTES) if isinstance(found, str) else found
        if sha256.startswith(("!", "?")):
            lost_bytes = source.num_bytes if sha256.startswith("?") else 0
            return Skipped(source.path, sha256[1:], lost_bytes)
        return TextFile(source, sha256, reading, notes)

    def save(self) -> None:
        """Keep what was learned."""
        if self._is_changed:
            write_text(self._path, json.dumps({"format": _FORMAT, "files": self._known}))


def _find(path: Path, reading: ReadingConfig, tick: Callable[[], object]) -> Any:
    try:
        sha256, notes = check_text(path, reading, tick)
    except UndecodableError as error:
        return f"?{error}"
    except NotTextError as error:
        return f"!{error}"
    return [sha256, notes] if notes else sha256


def _how(path: Path, reading: ReadingConfig) -> str:
    """What the text of a file depends on besides its bytes."""
    packing = path.suffix.lower() if path.suffix.lower() in PACKINGS else ""
    is_replacing = reading.on_bad == "replace"
    return f"{kind_of(path)}{packing} {reading.encoding} {is_replacing} {reading.text_column}"


def iter_text_files(
    sources: Iterable[SourceFile | Skipped],
    reading: ReadingConfig,
    remembered: Remembered,
    tick: Callable[[], object] = bool,
) -> Iterator[TextFile | Skipped]:
    """Read each new file once; give what is text and what is skipped, copies among it.

    What was learned is kept however the reading ends.
    """
    seen: set[tuple[str, str]] = set()
    try:
        for source in sources:
            if isinstance(source, Skipped):
                yield source
                continue
            found = remembered.look_at(source, reading, tick)
            if isinstance(found, TextFile):
                contents = (found.sha256, kind_of(source.path))
                if contents in seen:
                    found = Skipped(source.path, "a copy of a file read already")
                seen.add(contents)
            yield found
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
        digest.update(f"\n{file.sha256} {_how(file.source.path, file.reading)}".encode())
    return digest.hexdigest()[:32]
