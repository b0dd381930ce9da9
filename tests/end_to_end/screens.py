"""The chat's screen on a pseudo-terminal: typed at, looked at, and its bytes judged."""

import re
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from tests.end_to_end.conftest import COMMAND
from tests.end_to_end.test_terminal import HOSTILE, Terminal
from tissu_cli.sessions.conversation import Conversation, Turn
from tissu_cli.sessions.history import History

pexpect = pytest.importorskip("pexpect")

PATIENCE_SECONDS = 40.0
LONG = ("--greedy", "--min-tokens", "7600", "--max-tokens", "7600")
"""A reply of half a minute, of the fixture ``talker``'s model."""

# All that Textual sends of its own: colours, places, modes, questions to the terminal, the mouse's
# shape. Nothing clears the screen, sets a title, touches the clipboard or begins a string.
OWN = re.compile(
    rb"\x1b\[[0-9;]*m|\x1b\[\d+;\d+H|\x1b\[\?(?:25|7|100[0346]|1015|1049|2004|2026|2048)[hl]"
    rb"|\x1b\[\?20(?:26|48)\$p|\x1b\[>\d+u|\x1b\[<u|\x1b\]22;[a-z]+\x07|\r\n"
)
CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")
_ON_AFTERWARDS = (25, 7)
_OFF_AFTERWARDS = (1000, 1003, 1004, 1006, 1015, 1049, 2004)


class Chat(Terminal):
    """``tissu chat`` on a screen."""

    def __init__(
        self,
        home: Path,
        *arguments: str | Path,
        size: tuple[int, int] = (24, 80),
        **settings: str,
    ) -> None:
        super().__init__(home, "chat", *arguments, size=size, **settings)
        self.child.delaybeforesend = None

    @property
    def frame(self) -> str:
        """What is seen now."""
        return "\n".join(line.rstrip() for line in self.screen.display)

    def until(self, holds: Callable[[], object], what: object = "") -> None:
        """Wait for something to be so, while the terminal is read."""
        patience = time.monotonic() + PATIENCE_SECONDS
        while not holds():
            assert time.monotonic() < patience, f"it never came: {what}\n{self.frame}"
            with suppress(pexpect.TIMEOUT):
                self._take(self.child.read_nonblocking(1 << 16, timeout=0.05))

    def shows(self, *parts: str) -> None:
        """Wait until all parts are seen at once."""
        self.until(lambda: all(part in self.frame for part in parts), parts)

    def is_ready(self) -> None:
        """Wait until the model is loaded."""
        self.shows("parameters", "/ for commands", "○")

    def send(self, text: str) -> None:
        """Type a message, and send it."""
        self.child.send(text + "\r")

    def paste(self, text: str) -> None:
        self.child.send(f"\x1b[200~{text}\x1b[201~")

    def resize(self, rows: int, columns: int) -> None:
        """Another size; the kernel tells the program with SIGWINCH."""
        self.screen.resize(rows, columns)
        self.child.setwinsize(rows, columns)

    @property
    def children(self) -> list[int]:
        """The processes that it started."""
        lists = Path(f"/proc/{self.child.pid}/task").glob("*/children")
        return [int(pid) for each in lists for pid in each.read_text().split()]

    def quit(self) -> None:
        """Leave, and check how the terminal is left."""
        self.send("/quit")
        assert self.read_to_end() == 0, self.frame
        self.assert_restored()

    def assert_restored(self) -> None:
        """All that was switched on is off, and the other way round."""
        assert b"\x1b[?1049h" in self.raw, "there was a screen"
        for modes, last in ((_ON_AFTERWARDS, b"h"), (_OFF_AFTERWARDS, b"l")):
            for mode in modes:
                switched = re.findall(rb"\x1b\[\?%d([hl])" % mode, self.raw)
                assert switched[-1:] == [last], mode
        assert self.raw.count(b"\x1b[<u") == len(re.findall(rb"\x1b\[>\d+u", self.raw))

    @property
    def foreign(self) -> list[str]:
        """Control characters that are neither Textual's nor in its sequences."""
        return CONTROLS.findall(OWN.sub(b"", self.raw).decode("utf-8", "replace"))


class Watched(Chat):
    """The same with a Python program around it, and stderr in a file."""

    def __init__(self, home: Path, stderr: Path, *arguments: str, program: str = "") -> None:
        start = ["-c", program] if program else COMMAND[1:]
        line = 'file=$1; shift; exec "$@" 2>"$file"'
        self.stderr = stderr
        self.command = ["/bin/sh", "-c", line, "sh", str(stderr), COMMAND[0], *start]
        super().__init__(home, *arguments)


def kept(home: Path) -> list[Conversation]:
    """The conversations of a home, the newest first."""
    history = History.open(home / "chats.db")
    try:
        return [*history.all()]
    finally:
        history.close()


def hostile_conversation(home: Path, model: str) -> None:
    """Keep a conversation whose every text wants to command the terminal."""
    history = History.open(home / "chats.db")
    conversation = Conversation(title=HOSTILE, model=model, system=HOSTILE, draft=HOSTILE)
    for role in ("user", "assistant"):
        text = f"{HOSTILE}\n```{HOSTILE}\n{HOSTILE}\n```\n- {HOSTILE}\n"
        turn = Turn(parent=conversation.leaf, role=role, text=text, model=HOSTILE)
        conversation.add(turn)
        conversation.title = HOSTILE
        history.add(conversation, turn)
    history.close()
