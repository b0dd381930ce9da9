"""Looking at a run while it trains, and asking it for something. Imports no torch."""

import math
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from types import UnionType
from typing import Any, Literal, get_args, get_origin, get_type_hints

from tissu_core.errors import TissuError
from tissu_core.events.training import Request, TrainEvent
from tissu_core.runs.follow import parse_line
from tissu_core.runs.run_directory import RUN_FILE, is_being_written
from tissu_core.runs.train.stored_run import read_run
from tissu_core.tracking.control import request
from tissu_core.tracking.event_log import EVENTS_FILE

_CHUNK_BYTES = 1 << 17
_LONGEST_LINE = 1 << 22
_LARGEST = 1 << 62
_NUMBERS = (int, float)
_POINTS = 101
_MAYBE_NAN = ("loss", "grad_norm", "perplexity", "bits_per_byte")


class LogTail:
    """Reads a run's ``events.jsonl`` as it grows, each byte once."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.is_behind = False
        """Whether there is more to read at once."""
        self.unknown_lines = 0
        """Whole lines that are no event of this version."""
        self._path = directory / EVENTS_FILE
        self._file: tuple[int, int] | None = None
        self._offset = self._size = 0
        self._rest = b""
        self._is_told = False

    @property
    def position(self) -> tuple[int, int]:
        """Bytes that were read, and those of the file."""
        return self._offset, self._size

    def unknown(self) -> str:
        """A word, once, on lines that a newer version wrote, or that are damaged; else ""."""
        if self._is_told or not self.unknown_lines:
            return ""
        self._is_told = True
        return "lines of the log that this tissu does not know are passed over"

    def read(self) -> list[tuple[float, TrainEvent]] | None:
        """Events since the last call, with their times; at most 128 kB of them.

        None says that the file is another one, to be read from its beginning.
        """
        try:
            facts = self._path.stat()
            file = facts.st_dev, facts.st_ino
            if self._file not in (None, file) or facts.st_size < self._offset:
                self._file, self._offset, self._rest, self.unknown_lines = file, 0, b"", 0
                self.is_behind, self._is_told = True, False
                return None
            self._file, self._size = file, facts.st_size
            data = self._next_bytes() if facts.st_size > self._offset else b""
        except OSError:
            self.is_behind = False
            return []
        self.is_behind = self._offset < facts.st_size
        return self._events_in(data)

    def _next_bytes(self) -> bytes:
        with self._path.open("rb") as log:
            log.seek(self._offset)
            data = log.read(_CHUNK_BYTES)
        self._offset += len(data)
        return data

    def _events_in(self, data: bytes) -> list[tuple[float, TrainEvent]]:
        *lines, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > _LONGEST_LINE:
            self._rest = b""
        found = []
        for line in filter(bytes.strip, lines):
            parsed = parse_line(line)
            event = _sound(parsed[1]) if parsed else None
            if parsed and event is not None:
                found.append((parsed[0] if math.isfinite(parsed[0]) else 0.0, event))
            else:
                self.unknown_lines += 1
        return found


def _sound(event: TrainEvent) -> TrainEvent | None:
    """The event, if each field is of its kind; what JSON had no number for is NaN again."""
    lost = {}
    kind: type = type(event)
    for name, types, choices in _fields(kind):
        value = getattr(event, name)
        if type(value) in types:
            if value.__class__ in _NUMBERS and not -_LARGEST < value < _LARGEST:
                return None
            if choices and value not in choices:
                return None
        elif value is None and name in _MAYBE_NAN:
            lost[name] = math.nan
        else:
            return None
    return replace(event, **lost) if lost else event  # type: ignore[arg-type]


@cache
def _fields(kind: type) -> tuple[tuple[str, frozenset[type], tuple[str, ...]], ...]:
    """Of each field of an event: its name, what it may be, and which texts if not any."""
    return tuple(
        (name, _types(hint), _choices(hint)) for name, hint in get_type_hints(kind).items()
    )


def _types(hint: Any) -> frozenset[type]:
    if isinstance(hint, UnionType):
        return frozenset().union(*map(_types, get_args(hint)))
    if get_origin(hint) is Literal:
        return frozenset({str})
    return frozenset({float, int} if hint is float else {get_origin(hint) or hint})


def _choices(hint: Any) -> tuple[str, ...]:
    return get_args(hint) if get_origin(hint) is Literal else ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What a run was set to that its events do not say."""

    clip_norm: float = 0.0
    """Larger gradients are scaled down to it; 0 leaves them."""
    rates: tuple[tuple[float, float], ...] = ()
    """Progress in [0, 1] and the learning rate there, from the beginning to the end."""


def read_settings(directory: Path) -> Settings:
    """The run's settings as they are stored; nothing where they are not, or by a newer version."""
    from tissu_core.training.schedules import build_schedule

    try:
        stored = read_run(directory)
        optimizer = stored.run.optimizer
        schedule, peak = build_schedule(optimizer, stored.steps), optimizer.learning_rate or 0.0
        shares = [number / (_POINTS - 1) for number in range(_POINTS)]
        rates = [(share, peak * schedule(round(share * stored.steps), share)) for share in shares]
    except (TissuError, OSError, ValueError, TypeError):
        return Settings()
    return Settings(clip_norm=optimizer.clip_norm, rates=tuple(rates))


Presence = Literal["trains", "rests", "gone"]


def presence_of(directory: Path) -> Presence:
    """Whether a process trains the run, or nobody does, or it was removed."""
    if not (directory / EVENTS_FILE).is_file() and not (directory / RUN_FILE).is_file():
        return "gone"
    return "trains" if is_being_written(directory) else "rests"


def ask(directory: Path, what: Request) -> bool:
    """Ask a run for something; False where no process trains it, and nobody would read that.

    Raises:
        ResourceError: If the run's directory cannot be written.
    """
    if presence_of(directory) != "trains":
        return False
    request(directory, what)
    return True
