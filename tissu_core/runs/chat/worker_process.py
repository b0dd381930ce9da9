"""The parent's side of the process that holds a model: its pipes, its log, its end."""

import itertools
import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from tissu_core.errors import OutOfMemoryError, ResourceError
from tissu_core.runs.wire import to_line

_LOG_BYTES = 1 << 16
_PATIENCE_SECONDS = 1.0
"""How long each way of ending the child may take before the next, harder one."""
_KILLED = 9
_BEGIN = """import sys
sys.path[:] = sys.argv[1:]
from tissu_core.runs.chat.worker import main
main()
"""

Answers = queue.SimpleQueue[dict[str, Any] | None]
"""What comes for one request; None says that the process ended."""


class WorkerProcess:
    """``worker`` in a child process that Ctrl-C in the terminal does not reach."""

    def __init__(self) -> None:
        self._child = _start()
        self._ids = itertools.count()
        self._lock, self._writing = threading.Lock(), threading.Lock()
        self._asked: dict[int, Answers] | None = {}
        """Requests under way; None once the process has ended."""
        self._log = bytearray()
        for work in (self._read_answers, self._read_log):
            threading.Thread(target=work, daemon=True).start()

    @property
    def is_alive(self) -> bool:
        """Whether it can be asked."""
        return self._asked is not None

    @property
    def pid(self) -> int:
        """The child's process id."""
        return self._child.pid

    def ask(self, request: Mapping[str, Any]) -> tuple[int, Answers]:
        """Send a request; its id, and where its answers come."""
        id, answers = next(self._ids), Answers()
        with self._lock:
            if self._asked is None:
                answers.put(None)
                return id, answers
            self._asked[id] = answers
        self.tell({"id": id, **request})
        return id, answers

    def tell(self, message: Mapping[str, Any]) -> None:
        """Send a message. If the child is gone, those who wait for it are told by its silence."""
        assert self._child.stdin is not None
        line = to_line(message)
        with self._writing, suppress(OSError, ValueError):
            while line:  # past the buffer, which would complain when it is thrown away full
                line = line[os.write(self._child.stdin.fileno(), line) :]

    def forget(self, id: int) -> bool:
        """Let go of a request; whether it was still under way."""
        with self._lock:
            return self._asked is not None and self._asked.pop(id, None) is not None

    def ended(self) -> ResourceError:
        """The error for a process that is no more."""
        code = self._child.wait()
        how = f"signal {-code}" if code < 0 else f"exit code {code}"
        why = "; memory may have run out" if code == -_KILLED else ""
        kind = OutOfMemoryError if code == -_KILLED else ResourceError
        return kind(
            f"the model's process was ended ({how}){why}",
            safe="the conversation",
            hint="load the model again, with a smaller --context, or load a smaller one",
        )

    def log_tail(self) -> str:
        """The end of what it wrote to stdout and stderr."""
        return bytes(self._log).decode("utf-8", "replace")

    def close(self) -> None:
        """End the child: it leaves when its stdin ends, or is made to."""
        assert self._child.stdin is not None
        if self._writing.acquire(timeout=_PATIENCE_SECONDS):  # a child that is stuck reads nothing
            self._child.stdin.close()
            self._writing.release()
        for end in (self._child.terminate, self._child.kill):
            try:
                self._child.wait(_PATIENCE_SECONDS)
                return
            except subprocess.TimeoutExpired:
                end()
        self._child.wait()

    def _read_answers(self) -> None:
        assert self._child.stdout is not None
        with self._child.stdout as lines:
            for line in lines:
                try:
                    answer = json.loads(line)
                except ValueError:  # half a line, of a process that was killed
                    continue
                with self._lock:
                    answers = (self._asked or {}).get(answer["id"])
                    if "event" not in answer and self._asked:
                        self._asked.pop(answer["id"], None)
                if answers is not None:
                    answers.put(answer)
        with self._lock:
            waiting, self._asked = self._asked or {}, None
        for answers in waiting.values():
            answers.put(None)

    def _read_log(self) -> None:
        assert self._child.stderr is not None
        with self._child.stderr as log:
            while chunk := os.read(log.fileno(), _LOG_BYTES):
                self._log += chunk
                del self._log[:-_LOG_BYTES]


_PATIENT = {"OMP_WAIT_POLICY": "passive"}
"""Threads that wait for each other actively stop the chat where anything else computes: of 135M
parameters on 2 cores beside one busy process 61 tokens took 28 to 85 s, and 5 to 6 with this."""


def _start() -> "subprocess.Popen[bytes]":
    """The child, which imports from the same places and is in no terminal's foreground.

    Raises:
        ResourceError: If the system has no room for it.
    """
    is_windows = os.name == "nt"
    flags = "CREATE_NEW_PROCESS_GROUP", "CREATE_NO_WINDOW"
    try:
        return subprocess.Popen(
            [sys.executable, "-c", _BEGIN, *sys.path],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**_PATIENT, **os.environ},
            start_new_session=not is_windows,
            creationflags=sum(getattr(subprocess, flag) for flag in flags) if is_windows else 0,
        )
    except OSError as error:
        raise ResourceError(
            f"cannot start a process for the model: {error.strerror}",
            safe="the conversation",
            hint="end other programs",
        ) from error
