"""The one thread in which the model loads and writes.

It only ever puts what was said into a deque, which the screen empties at its own pace: a message
for each token would make either of them wait for the other.
"""

import queue
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from tissu_cli.sessions.talk import ReplyJob, Talk
from tissu_core.errors import TissuError
from tissu_core.events.replies import ChatEvent, LoadEvent
from tissu_core.runs.chat_model import ChatModel


@dataclass(frozen=True, slots=True)
class Began:
    """A reply is being written from now on."""

    job: ReplyJob


@dataclass(frozen=True, slots=True)
class Said:
    """A model said something of a reply."""

    job: ReplyJob
    event: ChatEvent


@dataclass(frozen=True, slots=True)
class Ended:
    """A reply ended, with an error if it did not end by itself."""

    job: ReplyJob
    error: Exception | None


@dataclass(frozen=True, slots=True)
class Loading:
    """A model goes on loading."""

    event: LoadEvent


@dataclass(frozen=True, slots=True)
class LoadFailed:
    """A model could not be loaded."""

    error: Exception


Report: TypeAlias = Began | Said | Ended | Loading | LoadFailed
_Task: TypeAlias = Callable[[], None] | None


class Engine:
    """Does one thing after another; ``reports`` tells of it, in order."""

    def __init__(self) -> None:
        self.reports: deque[Report] = deque()
        self._tasks: queue.SimpleQueue[_Task] = queue.SimpleQueue()
        self._waiting: list[threading.Event] = []  # of each reply, what stops it
        self._thread = threading.Thread(target=self._work, name="tissu-chat", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """Replies that were asked for and are not at their end."""
        return len(self._waiting)

    def load(self, model: ChatModel) -> None:
        """Make a model ready, once what was asked before is done."""
        self._tasks.put(lambda: self._load(model))

    def write(self, talk: Talk, job: ReplyJob) -> None:
        """Write a reply, once those before it are at their end."""
        stop = threading.Event()
        self._waiting.append(stop)
        self._tasks.put(lambda: self._write(talk, job, stop))

    def stop(self) -> None:
        """End the reply that is being written, and those that wait, even for a model to load."""
        for stop in [*self._waiting]:
            stop.set()

    def do(self, task: Callable[[], None]) -> None:
        """Do something else in turn; what it raises is a bug."""
        self._tasks.put(task)

    def close(self, seconds: float) -> None:
        """Stop, do what was asked, and end; waits at most this long."""
        self.stop()
        self._tasks.put(None)
        self._thread.join(seconds)

    def _work(self) -> None:
        while (task := self._tasks.get()) is not None:
            try:
                task()
            except (TissuError, OSError) as error:
                self.reports.append(LoadFailed(error))

    def _load(self, model: ChatModel) -> None:
        try:
            for event in model.load():
                self.reports.append(Loading(event))
        except (TissuError, OSError) as error:
            self.reports.append(LoadFailed(error))

    def _write(self, talk: Talk, job: ReplyJob, stop: threading.Event) -> None:
        if talk.model.facts is None:  # its process ended, or it could not be loaded before
            self._load(talk.model)
        self.reports.append(Began(job))
        error: Exception | None = None
        try:
            for event in talk.run(job, stop):
                self.reports.append(Said(job, event))
        except (TissuError, OSError) as failed:
            error = failed
        self._waiting.remove(stop)
        self.reports.append(Ended(job, error))
