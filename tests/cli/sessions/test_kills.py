"""Killed at any moment, what was acknowledged is there."""

import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import IO

import pytest

from tissu_cli.sessions.history import History

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
KILLS_A_FILE = 5
LONGEST_SECONDS = 0.06


class Writers:
    """``writer.py``, asked from here."""

    def __init__(self, ask: IO[str], answers: IO[str]) -> None:
        self._ask, self._answers = ask, answers

    def kill_one(self, path: Path, seconds: float) -> list[list[str]]:
        """Let a process write there, kill it after a while, and give the words of its lines."""
        self._send(str(path))
        said = [self._answers.readline()]
        while not said[-1].strip().isdecimal():  # the child may be heard before its number
            said.append(self._answers.readline())
        time.sleep(seconds)
        os.kill(int(said.pop()), signal.SIGKILL)
        self._send("")
        said += iter(self._answers.readline, "ended\n")
        return [line.split() for line in said]

    def _send(self, line: str) -> None:
        self._ask.write(f"{line}\n")
        self._ask.flush()


@pytest.fixture
def writers() -> Iterator[Writers]:
    with subprocess.Popen(
        [sys.executable, "-m", "tests.cli.sessions.writer"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None and process.stdout is not None
        yield Writers(process.stdin, process.stdout)


def check(path: Path, said: list[list[str]]) -> None:
    if path.exists():
        with closing(History.open(path)) as history:
            assert history.notices == []
            loaded = {conversation.id: conversation for conversation in history.all()}
        with closing(sqlite3.connect(path)) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    for what, conversation, id, *count in said:
        turn = loaded[conversation].turns[id]
        if what == "added":
            assert turn.text == "how is it?"
        else:
            assert len(turn.tokens) >= int(count[0])
            assert turn.text == "".join(f"token {n} " for n in range(len(turn.tokens)))
            assert turn.state in (("done",) if what == "finished" else ("done", "stopped"))


def kill_often(writers: Writers, folder: Path, count: int) -> None:
    draw = random.Random(1337)
    said: list[list[str]] = []
    num_said = 0
    for trial in range(count):
        path = folder / f"{trial // KILLS_A_FILE}" / "chats.db"
        if trial % KILLS_A_FILE == 0:
            said = []
        said += writers.kill_one(path, draw.uniform(0, LONGEST_SECONDS))
        check(path, said)
        num_said += len(said)
    assert num_said > count


def test_50_kills_lose_nothing_that_was_acknowledged(writers: Writers, tmp_path: Path) -> None:
    kill_often(writers, tmp_path, 50)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_500_kills_lose_nothing_that_was_acknowledged(writers: Writers, tmp_path: Path) -> None:
    kill_often(writers, tmp_path, 500)
