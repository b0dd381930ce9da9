"""The logs of a run: one JSON object a line, appended, never rewritten.

After a crash the last line may be half-written; the next writer ends it, and readers skip it. A
disk that is full for a while ends no run: lines wait in memory until it takes them.
"""

import json
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from tissu_core.events.histograms import HistogramsTaken
from tissu_core.events.records import to_record
from tissu_core.events.training import TrainEvent

EVENTS_FILE = "events.jsonl"


class EventLog:
    """Appends events to a run's ``events.jsonl``, or to another log beside it."""

    def __init__(self, directory: Path, name: str = EVENTS_FILE) -> None:
        path = directory / name
        ends_open = path.is_file() and path.stat().st_size and path.read_bytes()[-1:] != b"\n"
        self._file = path.open("ab", buffering=0)
        self._waiting = b"\n" if ends_open else b""

    def append(self, event: TrainEvent | HistogramsTaken) -> None:
        """Write an event with the time, and hand it to the system."""
        record: dict[str, Any] = {"time": round(time.time(), 3), **to_record(event)}
        line = json.dumps(record, ensure_ascii=False) + "\n"
        self._waiting += line.encode("utf-8", "backslashreplace")
        with suppress(OSError):
            while self._waiting:
                self._waiting = self._waiting[self._file.write(self._waiting) :]

    def close(self) -> None:
        """Close the file."""
        self._file.close()
