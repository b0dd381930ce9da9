"""The log of a run: one JSON object a line, appended, never rewritten.

After a crash the last line may be half-written; the next writer ends it, and readers skip it.
"""

import json
import time
from pathlib import Path
from typing import Any

from tissu_core.events import TrainEvent, to_record

EVENTS_FILE = "events.jsonl"


class EventLog:
    """Appends events to a run's ``events.jsonl``."""

    def __init__(self, directory: Path) -> None:
        path = directory / EVENTS_FILE
        ends_open = path.is_file() and path.stat().st_size and path.read_bytes()[-1:] != b"\n"
        self._file = path.open("a", encoding="utf-8", errors="backslashreplace")
        if ends_open:
            self._file.write("\n")

    def append(self, event: TrainEvent) -> None:
        """Write an event with the time, and hand it to the system."""
        record: dict[str, Any] = {"time": round(time.time(), 3), **to_record(event)}
        self._file.write(json.dumps(record, ensure_ascii=False) + "\n")
        self._file.flush()

    def close(self) -> None:
        """Close the file."""
        self._file.close()
