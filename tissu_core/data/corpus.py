"""The text of a corpus: which files it has, what is said of them, and their documents in order."""

import time
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TypeAlias

from tissu_core.config.data import DataConfig
from tissu_core.data.characters import Note
from tissu_core.data.documents import iter_documents
from tissu_core.data.fingerprint import Remembered, TextFile, iter_text_files
from tissu_core.data.packed import NotTextError
from tissu_core.data.sources import Skipped, identity_of, iter_sources
from tissu_core.errors import ConfigError, InputError, IntegrityError
from tissu_core.events.shared import FileSkipped, Noticed, StageAdvanced

PrepareEvent: TypeAlias = StageAdvanced | FileSkipped | Noticed
Stop: TypeAlias = Callable[[], bool]

_TICK_SECONDS = 0.1
BAD_LINE_SHARE = 0.01
_CHATS = "chats: lines with messages instead of a text"
_OTHER_ENCODING = "--encoding NAME, such as latin-1, or --on-bad replace"


class PreparationStoppedError(Exception):
    """The person asked to stop while the corpus was prepared; the next start begins it again."""


def read_corpus(
    data: DataConfig, cache: Path, stop: Stop = bool, *, may_mix: bool = False
) -> Generator[PrepareEvent, None, list[TextFile]]:
    """The text files of a corpus, each read to its end once in its life.

    They are of one kind: texts, or conversations if ``data.format`` asks for them or finds them;
    of both if they are to be found and ``may_mix``.

    Raises:
        InputError: If a path is missing, nothing is text, or too much is of another encoding.
        ConfigError: If the kind is to be found, and both are there.
        PreparationStoppedError: If ``stop`` turns true.
    """
    files: list[TextFile] = []
    skips: Counter[str] = Counter()
    first_lost, lost_bytes = "", 0
    ticks = Ticks()
    sources = iter_sources(
        data.corpus, data.only, data.exclude, follow_symlinks=data.follow_symlinks
    )
    yield StageAdvanced(stage="reading", done=0, total=0, unit="files")

    def tick() -> None:
        if stop():
            raise PreparationStoppedError

    remembered = Remembered(cache / "files.json")
    for found in iter_text_files(sources, data.reading, remembered, tick):
        tick()
        found = _of_kind(data.format or "text", found)
        if isinstance(found, TextFile):
            files.append(found)
        else:
            skips[found.reason.split(" at byte")[0]] += 1
            if found.lost_bytes:
                first_lost = first_lost or f"{found.path} is {found.reason}"
                lost_bytes += found.lost_bytes
                if data.reading.on_bad == "stop":
                    raise InputError(first_lost, hint=_OTHER_ENCODING)
            yield FileSkipped(path=str(found.path), reason=found.reason)
        if ticks.is_due():
            done = len(files) + skips.total()
            yield StageAdvanced(stage="reading", done=done, total=0, unit="files")
    if not files and not lost_bytes:
        raise _nothing_to_read(data.corpus, skips)
    _judge_lost(lost_bytes, files, data.reading.max_undecodable, first_lost)
    if not may_mix:
        _refuse_mixed(files)
    yield from _notices(files)
    done = len(files) + skips.total()
    yield StageAdvanced(stage="reading", done=done, total=done, unit="files")
    return files


def _of_kind(wanted: str, found: TextFile | Skipped) -> TextFile | Skipped:
    if isinstance(found, TextFile) and wanted == "text" and found.is_chats:
        return Skipped(found.source.path, _CHATS)
    if isinstance(found, TextFile) and wanted == "chats" and not found.is_chats:
        return Skipped(found.source.path, "text, where conversations are read")
    return found


def _refuse_mixed(files: list[TextFile]) -> None:
    chats = [file for file in files if file.is_chats]
    texts = [file for file in files if not file.is_chats]
    if chats and texts:
        raise ConfigError(
            f"{len(chats)} files hold conversations, first {chats[0].source.path}, and "
            f"{len(texts)} hold text, first {texts[0].source.path}: a run learns one of them",
            field="format",
            hint="--format chats, or --format text",
        )


def _nothing_to_read(corpus: Sequence[str], skips: Counter[str]) -> InputError:
    reasons = ", ".join(f"{number} {reason}" for reason, number in skips.most_common(3))
    return InputError(
        f"no text in {', '.join(corpus)}: {skips.total()} files and folders seen"
        + (f" ({reasons})" if reasons else "")
        + ", none of them UTF-8 text, .jsonl, .parquet, or text or .jsonl as .gz or .zst",
        hint="a model learns to converse on these: tissu train CHATS --from MODEL"
        if _CHATS in skips
        else "name a folder with text files",
    )


def _judge_lost(lost_bytes: int, files: list[TextFile], allowed: float, first: str) -> None:
    share = lost_bytes / max(1, lost_bytes + sum(file.source.num_bytes for file in files))
    if share > allowed or not files:
        raise InputError(
            f"{share:.0%} of the text is of another encoding; first, {first}",
            hint=_OTHER_ENCODING,
        )


def _notices(files: list[TextFile]) -> Iterator[Noticed]:
    for note in Note:
        counts = [(file.notes[note], file.source.path) for file in files if note in file.notes]
        if counts:
            number = sum(count for count, _ in counts)
            yield Noticed(
                level="warning" if note is Note.REPLACED else "info",
                text=f"{note.format(f'{number:,}')}, first {counts[0][1]}",
            )


def iter_corpus(
    files: list[TextFile], bad_lines: "BadLines | None" = None
) -> Iterator[tuple[str, int]]:
    """Every document with the number of its file.

    Raises:
        IntegrityError: If a file is not what it was when it was hashed.
    """
    bad_lines = bad_lines or BadLines()
    for number, file in enumerate(files):
        path = file.source.path
        with unchanged(file):
            for text in iter_documents(path, file.reading, partial(bad_lines.add, path)):
                yield text, number


@contextmanager
def unchanged(file: TextFile) -> Iterator[None]:
    """Read a file again, which must be what it was when it was hashed.

    Raises:
        IntegrityError: If it is not.
    """
    path = file.source.path
    changed = IntegrityError(
        f"{path} changed while the corpus was prepared",
        hint="run the same command again when nothing writes there",
    )
    try:
        yield
        if identity_of(path.stat()) != file.source.identity:
            raise changed
    except (OSError, NotTextError) as error:
        raise changed from error


class BadLines:
    """JSONL lines without a text: how many, and where the first is."""

    def __init__(self) -> None:
        self.count = 0
        self.first = ""

    def add(self, path: Path, line: int) -> None:
        """Count the line with this number."""
        self.first = self.first or f"{path}:{line}"
        self.count += 1

    def judge(self, num_documents: int) -> Iterator[Noticed]:
        """Say that they were skipped.

        Raises:
            InputError: If they are more than one in a hundred.
        """
        if self.count > BAD_LINE_SHARE * (num_documents + self.count):
            raise InputError(
                f"{self.count:,} JSONL lines are no object with a text, first {self.first}",
                hint='write each line as {"text": "..."}, or name its key with --text-column',
            )
        if self.count:
            yield Noticed(
                level="warning",
                text=f"{self.count:,} JSONL lines without a text were skipped, first {self.first}",
            )


class Ticks:
    """Lets an event through about ten times a second."""

    def __init__(self) -> None:
        self._last = time.monotonic()

    def is_due(self) -> bool:
        """Whether it is time for another."""
        now = time.monotonic()
        if now - self._last < _TICK_SECONDS:
            return False
        self._last = now
        return True
