"""The process that holds a chat's model: requests on stdin, events on stdout, the rest a log.

``worker_process.py`` starts it. It leaves when its stdin ends, however the other side went.
"""

import json
import os
import queue
import threading
import time
import traceback
from collections.abc import Iterable, Iterator
from typing import IO, Any

from tissu_core.config.machine import DeviceConfig
from tissu_core.errors import TissuError
from tissu_core.events.records import to_record
from tissu_core.runs.wire import WINDOW, error_record, read_conversation, to_line

_GRACE_SECONDS = 0.5
"""How long the end may take to be orderly."""


def main() -> None:
    """Serve until stdin ends."""
    requests, answers = _take_pipes()
    worker = _Worker(answers)
    threading.Thread(target=worker.listen, args=(requests,), daemon=True).start()
    try:
        import tissu_core.runs.loading  # noqa: F401  seconds, while the screen is drawn
    except Exception:  # noqa: BLE001  the first load says it again
        traceback.print_exc()
    worker.serve()
    os._exit(0)  # nothing is left to do, and torch takes its time to leave


def _take_pipes() -> tuple[IO[bytes], IO[bytes]]:
    """The pipes to the other side; whatever else writes to stdout or stderr reaches the log."""
    requests = os.fdopen(os.dup(0), "rb")
    answers = os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(2, 1)
    os.close(nothing)
    return requests, answers


class _Reply:
    """A reply under way: whether it is to end, and how far the other side is."""

    def __init__(self) -> None:
        self.stop = threading.Event()
        self.room = threading.Semaphore(WINDOW)

    def paced(self, events: Iterable[Any]) -> Iterator[Any]:
        """The events, each when there is room for it."""
        for event in events:
            while not self.room.acquire(timeout=0.05) and not self.stop.is_set():
                pass
            yield event


class _Worker:
    """Answers requests: what takes long in turn, the others at once."""

    def __init__(self, answers: IO[bytes]) -> None:
        from tissu_core.runs.chat.session import ChatSession

        self._session = ChatSession(None, DeviceConfig())
        self._answers, self._writing = answers, threading.Lock()
        self._waiting: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
        self._replies: dict[int, _Reply] = {}
        self._is_left = False

    def listen(self, requests: IO[bytes]) -> None:
        """Take requests until there are no more; then let the process end."""
        for line in requests:
            self._take(json.loads(line))
        self._is_left = True
        for reply in [*self._replies.values()]:
            reply.stop.set()
        self._waiting.put(None)
        time.sleep(_GRACE_SECONDS)
        os._exit(0)

    def _take(self, request: dict[str, Any]) -> None:
        id = request["id"]
        match request["do"]:
            case "stop" if id in self._replies:
                self._replies[id].stop.set()
            case "more" if id in self._replies:
                self._replies[id].room.release(request["count"])
            case "measure" | "show_prompt":
                self._answer(request)
            case "load":
                self._waiting.put(request)
            case "reply":
                self._replies[id] = _Reply()
                self._waiting.put(request)
            case _:  # of a reply that has ended meanwhile
                pass

    def serve(self) -> None:
        """Load and reply, one after the other."""
        while (request := self._waiting.get()) is not None and not self._is_left:
            self._answer(request)
            self._replies.pop(request["id"], None)
        self._session.close()

    def _answer(self, request: dict[str, Any]) -> None:
        id = request["id"]
        try:
            for event in self._events(request):
                self._send({"id": id, "event": to_record(event)})
            self._send({"id": id, "end": True})
        except TissuError as error:
            self._send({"id": id, "error": error_record(error)})
        except Exception as error:  # noqa: BLE001  the other side says it, and goes on
            traceback.print_exc()
            text = f"the model's process failed: {type(error).__name__}: {error}"
            failed = TissuError(text, safe="the conversation", hint="report it, with the log")
            self._send({"id": id, "error": error_record(failed)})

    def _events(self, request: dict[str, Any]) -> Iterator[Any]:
        session = self._session
        if request["do"] == "load":
            session.model, session.template = request["model"], request["template"]
            session.machine = DeviceConfig(**request["machine"])
            yield from session.load()
            return
        messages, settings, written = read_conversation(request)
        if request["do"] == "measure":
            yield session.measure(messages, settings)
        elif request["do"] == "show_prompt":
            yield session.show_prompt(messages, settings, written=written)
        else:
            reply = self._replies[request["id"]]
            yield from reply.paced(session.reply(messages, settings, reply.stop, written=written))

    def _send(self, answer: dict[str, Any]) -> None:
        try:
            with self._writing:
                self._answers.write(to_line(answer))
                self._answers.flush()
        except OSError:  # the other side is gone; so will be stdin
            self._is_left = True
