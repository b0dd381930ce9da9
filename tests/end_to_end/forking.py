"""Command lines that start at once: ``fork_server.py``, asked from a test."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.end_to_end.conftest import environment
from tissu_core.checkpoint.store import CheckpointStore

PATIENCE = 120.0
"""Seconds; a run of these tests saves within one."""


class Server:
    """Starts command lines, and waits for what they do."""

    def __init__(self, process: "subprocess.Popen[str]", home: Path) -> None:
        self._process, self._home = process, home

    def start(self, *words: str | Path) -> int:
        """The number of the process."""
        return self._ask([*map(str, words)])

    def wait(self, run: int) -> int:
        """Its exit code, negative for a signal."""
        return self._ask(run)

    def wait_for_file(self, path: Path, run: int) -> None:
        self._wait_until(path.exists, [run], str(path))

    def wait_for_save(self, store: CheckpointStore, step: int, *runs: int) -> None:
        """Wait until one of the runs has saved."""

        def is_saved() -> bool:
            return (store.pointed("last") or -1) >= step

        self._wait_until(is_saved, runs, f"a save at step {step} or later")

    def _wait_until(self, is_so: Callable[[], bool], runs: Sequence[int], what: str) -> None:
        deadline = time.monotonic() + PATIENCE
        while not is_so():
            if time.monotonic() > deadline or all(map(_has_ended, runs)):
                assert is_so(), f"{what} never came; {self._account(runs[0])}"
            time.sleep(0.005)

    def _account(self, run: int) -> str:
        """What the run said, and where it is."""
        os.kill(run, signal.SIGABRT)  # nothing to one that ended and was not waited for
        code = self.wait(run)
        said = (self._home / "said" / str(run)).read_text("utf-8", errors="replace")
        return f"it ended by {code}, saying:\n{said[-8000:]}"

    def _ask(self, question: object) -> int:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps(question) + "\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())


def _has_ended(run: int) -> bool:
    """True of one that nobody waited for yet; where the system does not tell, False."""
    stat = Path(f"/proc/{run}/stat")
    return stat.exists() and stat.read_text().rpartition(")")[2].split()[0] == "Z"


@contextmanager
def forking(home: Path) -> Iterator[Server]:
    command = [sys.executable, "-m", "tests.end_to_end.fork_server"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, text=True, env=environment(home), **pipes) as process:
        yield Server(process, home)
