"""Runs that are looked at: their logs are read as they grow."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from tissu_cli.tui.watch.history import RunHistory
from tissu_core.events.shared import Noticed
from tissu_core.events.training import Planned, RunResumed
from tissu_core.runs.watch import LogTail, presence_of, read_settings

_PRESENCE_SECONDS = 2.0
_READING_SECONDS = 0.08
"""So long is read at once; a screen that reads an old log of 100 MB still answers keys."""


class WatchedRun:
    """One run: its log's tail, and what came of it."""

    def __init__(self, directory: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self.directory = directory
        self.history = RunHistory(directory.name)
        self._clock = clock
        self._tail = LogTail(directory)
        self._looked = -_PRESENCE_SECONDS

    @property
    def is_behind(self) -> bool:
        """Whether there is more to read at once."""
        return self._tail.is_behind

    @property
    def unknown_lines(self) -> int:
        """Lines of the log that a newer version wrote, or that are damaged."""
        return self._tail.unknown_lines

    def look(self) -> bool:
        """Read on for a moment; whether there is anything new."""
        is_new = self._look_for_its_process()
        began = self._clock()
        while True:
            found = self._tail.read()
            if found is None:
                self.history = RunHistory(self.directory.name, presence=self.history.presence)
            for when, event in found or ():
                self.history.take(when, event)
                if isinstance(event, Planned | RunResumed):
                    self.history.settings = read_settings(self.directory)
            is_new = is_new or found is None or bool(found) or self._tell_unknown()
            if not self._tail.is_behind or self._clock() - began > _READING_SECONDS:
                self.history.unread = self._tail.position if self._tail.is_behind else (0, 0)
                return is_new

    def _look_for_its_process(self) -> bool:
        now = self._clock()
        if now - self._looked < _PRESENCE_SECONDS:
            return False
        self._looked = now
        before, self.history.presence = self.history.presence, presence_of(self.directory)
        if not self.history.settings.rates:
            self.history.settings = read_settings(self.directory)
        return before != self.history.presence

    def _tell_unknown(self) -> bool:
        text = self._tail.unknown()
        if text:
            self.history.take(time.time(), Noticed(level="warning", text=text))
        return bool(text)


def look_at(runs: Sequence[WatchedRun]) -> bool:
    """Read on in all logs; whether there is anything new."""
    news = [run.look() for run in runs]
    return any(news)
