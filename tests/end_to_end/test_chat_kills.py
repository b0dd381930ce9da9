"""A chat that is killed, hung up, or loses its terminal: nothing of the conversation is lost."""

import os
import random
import signal
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest

from tests.end_to_end.conftest import Tissu
from tests.end_to_end.screens import LONG, PATIENCE_SECONDS, Chat, kept

pytestmark = pytest.mark.skipif(os.name != "posix", reason="pseudo-terminals")


@pytest.fixture
def home(talker: Tissu, tmp_path: Path) -> Path:
    """A home with the model of ``talker``, and no conversations."""
    path = tmp_path / "home"
    path.mkdir()
    (path / "runs").symlink_to(talker.home / "runs")
    return path


def wait_for_end(pids: list[int]) -> None:
    """Until no process has any of these ids."""
    patience = time.monotonic() + PATIENCE_SECONDS
    while alive := [pid for pid in pids if _is_alive(pid)]:
        assert time.monotonic() < patience, alive
        time.sleep(0.02)


def _is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def reply_on_disk(home: Path, message: str) -> str:
    """The text of the reply to a message, as another process reads it; "" before there is any."""
    with closing(sqlite3.connect(f"file:{home / 'chats.db'}?mode=ro", uri=True)) as connection:
        query = (
            "SELECT reply.text FROM turn AS reply JOIN turn AS asked ON reply.parent = asked.id "
            "WHERE asked.text = ?"
        )
        row = connection.execute(query, (message,)).fetchone()
    return str(row[0]) if row else ""


def killed_while_it_writes(home: Path, seconds: float, message: str) -> str:
    """Kill a screen that long after the first of its reply was kept; all of that comes back.

    Returns the state of the reply: "stopped", or "cut" where a fast machine had written it all.
    """
    chat = Chat(home, "--continue", *LONG)
    chat.is_ready()
    chat.send(message)
    chat.until(lambda: reply_on_disk(home, message), "a part of the reply on the disk")
    until = time.monotonic() + seconds
    chat.until(lambda: time.monotonic() > until)
    acknowledged, workers = reply_on_disk(home, message), chat.children
    os.kill(chat.child.pid, signal.SIGKILL)
    wait_for_end(workers)
    chat.child.close()
    asked, reply = kept(home)[0].path()[-2:]
    assert asked.text == message
    assert reply.state in ("stopped", "cut")
    assert reply.text.startswith(acknowledged)
    return reply.state


def test_a_screen_that_is_killed_mid_reply_loses_nothing_that_was_kept(home: Path) -> None:
    states = [
        killed_while_it_writes(home, seconds, f"Message {number} of looms")
        for number, seconds in enumerate((0.0, 0.4, 1.1))
    ]
    assert "stopped" in states
    asked = [turn.text for turn in kept(home)[0].path() if turn.role == "user"]
    assert asked == [f"Message {number} of looms" for number in range(3)]


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_twenty_kills_at_any_moment(home: Path) -> None:
    draw = random.Random(5)
    for number in range(20):
        killed_while_it_writes(home, draw.uniform(0, 3), f"Message {number} of looms")


@pytest.mark.parametrize("way", ["hang-up", "closed terminal"])
def test_a_lost_terminal_ends_both_processes_and_keeps_the_conversation(
    home: Path, way: str
) -> None:
    chat = Chat(home, *LONG)
    chat.is_ready()
    chat.send("A question of looms")
    chat.shows("● ", "sails")
    pids = [chat.child.pid, *chat.children]
    assert len(pids) == 2
    if way == "hang-up":
        os.kill(chat.child.pid, signal.SIGHUP)
        assert chat.read_to_end() == 129
        chat.assert_restored()
    else:
        os.close(chat.child.child_fd)
    wait_for_end(pids)
    asked, reply = kept(home)[0].path()
    assert asked.text == "A question of looms"
    assert reply.state == "stopped"
    assert "sails" in reply.text
