"""The one thread in which the model loads and writes.

It only ever puts what was said into a deque, which the screen empties at its own pace: a message
for each token would make either of them wait for the other.
"""

import queue
import threading
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

from tissu_cli.sessions.talk import ReplyJob, Talk
from tissu_core.errors import OutOfMemoryError, TissuError
from tissu_core.events.replies import ChatEvent, LoadEvent, ModelLoaded
from tissu_core.runs.chat.model import ChatModel


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

    talk: Talk
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


@dataclass(frozen=True, slots=True)
class Stayed:
    """Another model could not be loaded: the one before answers as it did."""

    error: Exception
    facts: ModelLoaded


Report: TypeAlias = Began | Said | Ended | Loading | LoadFailed | Stayed
_Task: TypeAlias = Callable[[], None] | None
Stay: TypeAlias = Callable[[ChatModel, str], bool]


class Engine:
    """Does one thing after another; ``reports`` tells of it, in order."""

    def __init__(self) -> None:
        self.reports: deque[Report] = deque()
        self._tasks: queue.SimpleQueue[_Task] = queue.SimpleQueue()
        self._ready: tuple[ChatModel, str] | None = None
        """The model that was loaded last, and what it was called."""
        self._waiting: list[threading.Event] = []  # of each reply, what stops it
        self._thread = threading.Thread(target=self._work, name="tissu-chat", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """Replies that were asked for and are not at their end."""
        return len(self._waiting)

    def load(self, model: ChatModel, name: str = "") -> None:
        """Make a model ready, once what was asked before is done."""
        self._tasks.put(lambda: self._load(model, name))

    def switch(self, before: ChatModel, model: ChatModel, name: str, stay: Stay) -> None:
        """Make another model ready, and let the one before go.

        If it cannot be loaded, ``stay`` is given the model that was ready before and its name,
        before any reply that waits is written; it says whether that one is still wanted.
        """
        self._tasks.put(lambda: self._switch(before, model, name, stay))

    def write(self, talk: Talk, job: ReplyJob) -> None:
        """Write a reply, once those before it are at their end."""
        stop = threading.Event()
        self._waiting.append(stop)
        self._tasks.put(lambda: self._write(talk, job, stop))

    def stop(self) -> None:
        """End the reply that is being written; those that wait will not begin."""
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

    def _load(self, model: ChatModel, name: str) -> None:
        if (error := self._try(model, name)) is not None:
            self.reports.append(LoadFailed(error))

    def _try(self, model: ChatModel, name: str) -> Exception | None:
        """Load a model; what went wrong."""
        try:
            for event in model.load():
                self.reports.append(Loading(event))
        except (TissuError, OSError) as error:
            return error
        self._ready = (model, name)
        return None

    def _switch(self, before: ChatModel, model: ChatModel, name: str, stay: Stay) -> None:
        ready = self._ready
        if ready is None or before is not ready[0]:
            before.close()  # it could not be loaded, either
        if ready is None or ready[0].facts is None:
            self._load(model, name)
            return
        error = self._try(model, name)
        if isinstance(error, OutOfMemoryError):  # perhaps there is room for one of them
            ready[0].close()
            error = self._try(model, name)
        if error is None:
            ready[0].close()
            return
        model.close()
        if not stay(*ready):
            self.reports.append(LoadFailed(error))
            return
        if ready[0].facts is None:
            self._load(*ready)
        if ready[0].facts is not None:
            self.reports.append(Stayed(error, ready[0].facts))

    def _write(self, talk: Talk, job: ReplyJob, stop: threading.Event) -> None:
        error: Exception | None = None
        try:
            for event in self._events(talk, job, stop):
                self.reports.append(Said(job, event))
        except (TissuError, OSError) as failed:
            error = failed
        self._waiting.remove(stop)
        self.reports.append(Ended(talk, job, error))

    def _events(self, talk: Talk, job: ReplyJob, stop: threading.Event) -> Iterator[ChatEvent]:
        # Its process ended, or it could not be loaded before.
        if talk.model.facts is None and not stop.is_set():
            self._load(talk.model, talk.conversation.model)
        if stop.is_set():
            talk.give_up(job)
            return
        self.reports.append(Began(job))
        yield from talk.run(job, stop)
