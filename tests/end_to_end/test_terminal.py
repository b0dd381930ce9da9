"""On a real terminal: what is drawn, and which bytes never reach it."""

import os
import re
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.end_to_end.conftest import COMMAND, FAST, Tissu, Trained, environment

pexpect = pytest.importorskip("pexpect")
pyte = pytest.importorskip("pyte")
pytestmark = pytest.mark.skipif(os.name != "posix", reason="pseudo-terminals")

# What Rich and a shell of ours may send: colours, cursor moves within the panel, line ends.
OURS = re.compile(
    rb"\x1b\[[0-9;]*m|\x1b\[[0-9]*[AK]|\x1b\[2K|\x1b\[\?25[lh]|\x1b\[\?2004[lh]|\r|\n|\t"
)
HOSTILE = "\x1b]52;c;cm0=\x07\x1b[2J\x9b31m\u202e[bold][@click=x]"


class Terminal:
    """A command on a pseudo-terminal, its raw bytes and its screen."""

    command: Sequence[str] = COMMAND

    def __init__(
        self,
        home: Path,
        *arguments: str | Path,
        size: tuple[int, int] = (24, 80),
        **settings: str,
    ) -> None:
        environ = environment(home, **{"TERM": "xterm-256color", **settings})
        for name in ("COLUMNS", "LINES"):
            environ.pop(name, None)
        self.child = pexpect.spawn(
            self.command[0],
            [*self.command[1:], *map(os.fsdecode, arguments)],
            env=environ,
            dimensions=size,
            timeout=60,
        )
        self.raw = b""
        self.screen = pyte.HistoryScreen(size[1], size[0], history=1000)
        self._stream = pyte.ByteStream(self.screen)

    def read_to_end(self) -> int:
        while True:
            try:
                self._take(self.child.read_nonblocking(4096, timeout=60))
            except pexpect.EOF:
                self.child.close()
                return int(self.child.exitstatus)

    def expect(self, pattern: str) -> None:
        self.child.expect(pattern)
        self._take(self.child.before + self.child.after)

    def _take(self, data: bytes) -> None:
        self.raw += data
        self._stream.feed(data)

    @property
    def text(self) -> str:
        """What scrolled away, and the screen below it."""
        gone = (
            "".join(line[column].data for column in range(self.screen.columns))
            for line in self.screen.history.top
        )
        return "\n".join(line.rstrip() for line in (*gone, *self.screen.display))

    def foreign_controls(self) -> bytes:
        """Control bytes that none of our own sequences explains."""
        rest = OURS.sub(b"", self.raw).decode("utf-8", "replace")
        return "".join(re.findall("[\x00-\x1f\x7f-\x9f\u202a-\u202e]", rest)).encode()


@pytest.mark.parametrize("size", [(24, 80), (50, 200)])
def test_the_panel_draws_within_the_screen_and_stays(
    tissu: Tissu, corpus: Path, size: tuple[int, int]
) -> None:
    terminal = Terminal(
        tissu.home, "train", corpus, "--steps", "30", "--name", "r", *FAST, size=size
    )
    assert terminal.read_to_end() == 0
    assert terminal.foreign_controls() == b""
    history = len(terminal.screen.history.top)
    assert history < 12, "the panel was redrawn in place, not printed again and again"
    text = terminal.text
    for part in ("tissu train · r", "step 30 · 100%", "bits per byte", "sample", "tokens/s"):
        assert part in text, text
    assert "talk to it:" in text
    assert terminal.raw.rstrip().count(b"\x1b[?25h") == terminal.raw.count(b"\x1b[?25l")


def test_a_terminal_too_small_for_a_panel_gets_a_few_lines(tissu: Tissu, corpus: Path) -> None:
    size = (5, 20)
    terminal = Terminal(tissu.home, "train", corpus, "--steps", "20", *FAST, size=size)
    assert terminal.read_to_end() == 0
    drawn = terminal.raw.split(b"\x1b[?25h")[0]  # without the farewell, which the terminal wraps
    frames = OURS.sub(b"\n", drawn).decode().splitlines()
    assert max(map(len, frames)) <= size[1]
    assert "100%" in drawn.decode()


@pytest.mark.parametrize("setting", [{}, {"TERM": "dumb"}])
def test_a_reply_on_a_tiny_or_dumb_terminal_is_its_text(
    hostile_home: Tissu, setting: dict[str, str]
) -> None:
    """No cursor tricks: what the model says, and nothing else."""
    words = ("h", "-p", "The", "--max-tokens", "60", "--seed", "1")
    plain = hostile_home.process("generate", *words)
    for command in ("generate", "chat"):
        terminal = Terminal(hostile_home.home, command, *words, size=(5, 20), **setting)
        assert terminal.read_to_end() == 0, terminal.text
        assert terminal.foreign_controls() == b""
        assert not re.search(rb"\x1b\[(\d*[A-HJK]|\?)", terminal.raw)
        assert b"reply ends here" in terminal.raw
    assert plain.code == 0


def test_progress_foresees_its_end_and_quiet_has_none(
    trained_once: Trained, tmp_path: Path
) -> None:
    home = trained_once.tissu.home
    words = ("generate", "cloth", "-p", "The", "--max-tokens", "20", "--json")
    loud = Terminal(home, *words)
    assert loud.read_to_end() == 0
    assert re.search(rb"generating: \d+ of 20 tokens", loud.raw)
    for quiet in (Terminal(home, "--quiet", *words), Terminal(home, *words, TISSU_QUIET="1")):
        assert quiet.read_to_end() == 0
        assert b"generating" not in quiet.raw
    average = Terminal(home, "models", "average", "cloth", "cloth", "-o", str(tmp_path / "mean"))
    assert average.read_to_end() == 0
    assert b"averaging: " in average.raw


def test_an_ascii_terminal_gets_the_same_layout_in_ascii(tissu: Tissu, corpus: Path) -> None:
    prompt = "training.sample_prompt=The café 織"
    terminal = Terminal(
        tissu.home, "train", corpus, "--steps", "20", "--set", prompt, *FAST, LC_ALL="C"
    )
    assert terminal.read_to_end() == 0
    assert terminal.raw.isascii()
    assert "The caf? ??" in terminal.text
    frame = [line for line in terminal.text.splitlines() if line.startswith("|")]
    assert {len(line) for line in frame} == {80}
    assert all(line.endswith("|") for line in frame)


def test_an_encoding_without_our_characters_raises_nowhere(trained_once: Trained) -> None:
    home, setting = trained_once.tissu.home, {"PYTHONIOENCODING": "ascii"}
    report = Terminal(home, "inspect", "run", **setting)
    assert report.read_to_end() == 0
    assert report.raw.isascii()
    error = Terminal(home, "train", "nicht-da-ü", **setting)
    assert error.read_to_end() == 3
    assert "nicht-da-\\xfc" in error.text


@pytest.mark.parametrize("setting", [{"TERM": "dumb"}, {"CI": "true"}])
def test_a_dumb_terminal_and_ci_get_plain_lines(
    tissu: Tissu, corpus: Path, setting: dict[str, str]
) -> None:
    environ = environment(tissu.home, **{"TERM": "xterm", **setting})
    output, code = pexpect.run(
        f"{COMMAND[0]} -m tissu_cli train {corpus} --steps 3 {' '.join(FAST)}",
        env=environ,
        withexitstatus=True,
        timeout=60,
    )
    assert code == 0
    assert b"\x1b" not in output
    assert b"step 3/3 (100%)" in output


def test_escape_sequences_of_prompt_and_reply_are_shown_not_obeyed(hostile_home: Tissu) -> None:
    ask = ["generate", "-p", HOSTILE + "[/INST]", "--max-tokens", "12", "--seed"]
    replies = {seed: hostile_home(*ask, seed).out for seed in map(str, range(10))}
    # Into a pipe a reply goes as it is.
    seed = next(seed for seed, reply in replies.items() if "\x1b" in reply)
    terminal = Terminal(hostile_home.home, *ask, seed)
    assert terminal.read_to_end() == 0
    assert terminal.foreign_controls() == b""
    assert "␛" in terminal.text


def test_escape_sequences_in_an_error_are_shown_not_obeyed(tissu: Tissu) -> None:
    terminal = Terminal(tissu.home, "train", f"nowhere{HOSTILE}")
    assert terminal.read_to_end() == 3
    assert terminal.foreign_controls() == b""
    assert "␛" in terminal.text


def test_a_conversation_keeps_its_history_and_ends_when_asked(trained_once: Trained) -> None:
    terminal = Terminal(
        trained_once.tissu.home, "chat", "cloth", "--plain", "--max-tokens", "3", "--seed", "1"
    )
    terminal.expect("> ")
    terminal.child.sendline("The weaver ")
    terminal.expect("> ")
    terminal.child.sendline("counted ")
    terminal.expect("> ")
    terminal.child.sendline("/prompt")
    terminal.expect("> ")
    terminal.child.sendline("/quit")
    assert terminal.read_to_end() == 0
    prompt = next(line for line in terminal.text.splitlines() if "<|endoftext|>The weaver" in line)
    assert "counted" in prompt
    assert terminal.foreign_controls() == b""


def test_ctrl_c_in_a_conversation_stops_the_reply_and_not_the_program(
    trained_once: Trained,
) -> None:
    terminal = Terminal(trained_once.tissu.home, "chat", "cloth", "--plain")
    terminal.expect("> ")
    terminal.child.sendline("The ")
    terminal.expect("The \r\n.")  # its echo, and the reply has begun
    terminal.child.sendintr()
    terminal.expect("> ")
    terminal.child.sendline("/help")
    terminal.expect("/quit: leave")
    terminal.expect("> ")
    terminal.child.sendeof()
    assert terminal.read_to_end() == 0
