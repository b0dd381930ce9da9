"""A conversation line by line, and one answer into a pipe."""

import os
import re
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest

from tests.end_to_end.conftest import Tissu, snapshot
from tests.end_to_end.screens import LONG, hostile_conversation, kept
from tests.end_to_end.test_terminal import Terminal
from tissu_cli.sessions.history import History
from tissu_cli.sessions.slash import COMMANDS

posix = pytest.mark.skipif(os.name != "posix", reason="pseudo-terminals")
REPEATED = 200
"""Characters of a begun reply that are told again."""
SHORT = ("--greedy", "--min-tokens", "6", "--max-tokens", "6")
PROMPT = r"(?:^|[\n\r]|2004h)> "
STYLES = re.compile(rb"\x1b\[\?2004[hl]|\x1b\[[0-9;]*m")
COPYING = re.compile(rb"\x1b\]52;c;[\w+/=]*\x07")


@pytest.fixture
def home(talker: Tissu, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tissu:
    """A home with the model of ``talker`` and no conversations, in a folder of its own."""
    path = tmp_path / "home"
    path.mkdir()
    (path / "runs").symlink_to(talker.home / "runs")
    monkeypatch.chdir(tmp_path)
    return Tissu(path)


class Plain(Terminal):
    """A conversation that is held in lines."""

    def __init__(self, tissu: Tissu, *words: str, **settings: str) -> None:
        super().__init__(tissu.home, "chat", *words, **settings)
        self.child.delaybeforesend = None
        self.expect(PROMPT)

    def ask(self, line: str) -> str:
        """Type a line; what comes before the next prompt."""
        self.child.sendline(line)
        before = len(self.raw)
        self.expect(PROMPT)
        said = STYLES.sub(b"", self.raw[before:])
        return said.decode("utf-8", "replace").replace("\r", "")

    def leave(self) -> None:
        self.child.sendline("/quit")
        assert self.read_to_end() == 0


# Each command once, or in each of its ways, and what is said then.
SCRIPT = [
    ("/help", "/continue: go on with a reply"),
    ("The weaver ", "the reply ends here: 6 tokens"),
    ("/rename Looms", ""),
    ("/bad", "rated as bad"),
    ("/tokens", "%  “"),
    ("/stats", "parameters: 32,"),
    ("/prompt", "<|endoftext|>The weaver"),
    ("/retry 2", "the reply ends here"),
    ("/good", "rated as good"),
    ("/previous", "long 2/3: "),
    ("/next", "long 3/3: "),
    ("/continue", "the reply ends here"),
    ("/edit The miller ", "you 2/2: The miller"),
    ("/previous 1", "you 1/2: The weaver"),
    ("/copy", "copied.txt"),
    ("/copy code", "this reply has no code block"),
    ("/export md", "written: chat-looms.md"),
    ("/export prefs", "written: "),
    ("/system Be a loom", "system prompt: Be a loom"),
    ("/set", "temperature: 0.8"),
    ("/set temperature=0.5", "temperature = 0.5"),
    ("/set temperature", "temperature = 0.8"),
    ("/seed 3", "seed = 3"),
    ("/compare long", "/next shows that reply"),
    ("/model", "long"),
    ("/model nobody", "safe: this conversation goes on with long"),
    ("/model long", "a base model"),
    ("/fork", "this is a copy"),
    ("/sessions weaver", "Looms"),
    ("/resume nothing", "there is no conversation 'nothing'"),
    ("/raw", "as they are written"),
    ("/theme", "themes are for the screen"),
    ("/keys", "keys are for the screen"),
    ("/log", "this terminal's own"),
    ("/new", "a new conversation"),
    ("/delete", "deleted"),
    ("/hlp", "try: /help"),
]


@posix
@pytest.mark.parametrize("is_dumb", [False, True])
def test_every_command_works_line_by_line(home: Tissu, is_dumb: bool) -> None:
    plain = Plain(home, *SHORT, TERM="dumb") if is_dumb else Plain(home, "--plain", *SHORT)
    for line, says in SCRIPT:
        assert says in plain.ask(line), line
    plain.child.sendline("/undo")  # an error, as there is nothing; then all is over
    plain.expect("nothing to take back")
    plain.expect(PROMPT)
    plain.leave()
    typed = {line.split()[0][1:] for line, _ in SCRIPT if line.startswith("/")}
    assert {each.name for each in COMMANDS} <= typed | {"undo", "quit"}
    without = plain.raw if is_dumb else COPYING.sub(b"", STYLES.sub(b"", plain.raw))
    assert b"\x1b" not in without, "no cursor is moved, nothing is drawn again"


@posix
def test_an_earlier_message_is_edited_in_the_line(home: Tissu) -> None:
    plain = Plain(home, "--plain", *SHORT)
    plain.ask("The weaver ")
    plain.child.sendline("/edit")
    plain.expect("> The weaver")
    plain.child.send("\x15")
    assert "you 2/2: The miller" in plain.ask("The miller")
    plain.child.sendline("/undo")
    plain.expect("> The miller")
    plain.child.send("\x15")
    plain.leave()
    texts = [turn.text for turn in kept(home.home)[0].turns.values() if turn.role == "user"]
    assert texts == ["The weaver ", "The miller"]


@posix
def test_ctrl_c_stops_the_reply_and_twice_at_the_prompt_leaves(home: Tissu) -> None:
    plain = Plain(home, "--plain", *LONG)
    plain.child.sendline("The weaver ")
    plain.expect("sails")
    plain.child.sendintr()
    plain.expect(PROMPT)
    (stopped,) = [turn for turn in kept(home.home)[0].path() if turn.role == "assistant"]
    assert stopped.state == "stopped" and "sails" in stopped.text
    before = len(plain.raw)
    plain.child.sendline("/continue")
    plain.expect(re.escape(stopped.text[-12:].splitlines()[-1]))
    plain.expect("sails")
    plain.child.sendintr()
    plain.expect(PROMPT)
    (longer,) = [turn for turn in kept(home.home)[0].path() if turn.role == "assistant"]
    # Of what was there its end is told again, to go on from, and no more; the text may loop.
    begin = max(0, len(stopped.text) - REPEATED)
    shown = STYLES.sub(b"", COPYING.sub(b"", plain.raw[before:])).decode().replace("\r", "")
    told = shown.partition("\n")[2].partition("^C")[0].rstrip()
    assert told.startswith(stopped.text[begin:].rstrip())
    assert longer.text[begin:].startswith(told)
    assert longer.text.startswith(stopped.text) and len(longer.text) > len(stopped.text)
    for says in ("Ctrl-C again", None):
        # Python's input() does not notice a signal between its prompt and its wait for a key.
        time.sleep(0.3)
        plain.child.sendintr()
        if says:
            plain.expect(says)
            plain.expect(PROMPT)
    assert plain.read_to_end() == 130


@posix
def test_ctrl_c_ends_all_of_several_replies(home: Tissu) -> None:
    plain = Plain(home, "--plain", *LONG)
    for line in ("The weaver ", "/retry 3"):
        plain.child.sendline(line)
        plain.expect("sails")
        plain.child.sendintr()
        plain.expect(PROMPT)
    plain.leave()
    (conversation,) = kept(home.home)
    turns = [(turn.role, turn.state, bool(turn.text)) for turn in conversation.turns.values()]
    assert turns == [("user", "done", True)] + [("assistant", "stopped", True)] * 2


@posix
def test_a_conversation_is_gone_on_with_or_never_written(home: Tissu) -> None:
    assert home("chat", "long", "--continue", "-p", "The weaver ", *SHORT).code == 0
    second = Plain(home, "--continue", *SHORT, CI="1")
    assert b"you: The weaver" in second.raw
    second.ask("The miller ")
    second.leave()
    assert b"\x1b[?1049h" not in second.raw, "where nobody may watch, there is no screen"
    (conversation,) = kept(home.home)
    assert [turn.text for turn in conversation.path()][::2] == ["The weaver ", "The miller "]
    before = snapshot(home.home)
    secret = Plain(home, "--plain", "--no-history", *SHORT)
    secret.ask("A secret ")
    assert "there is none" in secret.ask("/sessions weaver")
    secret.leave()
    assert snapshot(home.home) == before


@pytest.mark.parametrize("way", ["-p", "a pipe"])
def test_one_answer_is_raw_text_and_kept_nowhere(home: Tissu, way: str) -> None:
    ask = ["-p", "The weaver "] if way == "-p" else []
    stdin = "" if ask else "The weaver "
    result = home("chat", "long", *ask, *SHORT, stdin=stdin)
    assert result.code == 0
    assert result.out.endswith("\n") and "\x1b" not in result.out
    told = home("chat", "long", "-p", "The weaver ", "--json", *SHORT).json
    assert result.out == told["text"] + "\n"
    assert not (home.home / "chats.db").exists()


def test_one_answer_goes_on_with_a_conversation(home: Tissu) -> None:
    hostile_conversation(home.home, "long")
    (before,) = kept(home.home)
    result = home("chat", "--session", before.id[:6], "-p", "The miller ", *SHORT)
    assert result.code == 0, result.err
    (after,) = kept(home.home)
    assert [turn.text for turn in after.path()][:2] == [turn.text for turn in before.path()]
    assert after.path()[2].text == "The miller "
    assert after.path()[3].text + "\n" == result.out


def test_what_is_wrong_with_the_conversations_is_said(home: Tissu) -> None:
    file = home.home / "chats.db"
    ask = ["chat", "long", "-p", "The ", *SHORT]
    assert home(*ask, "--continue").code == 0, "the first one"
    unknown = home(*ask, "--session", "Teh")
    assert unknown.code == 3 and "did you mean 'The" in unknown.error[2]
    other = History.open(file)
    other.hold(kept(home.home)[0].id)
    busy = home(*ask, "--continue")
    assert busy.code == 5 and "open in another terminal" in busy.error[0]
    other.close()
    with closing(sqlite3.connect(file)) as connection:
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        connection.execute("PRAGMA user_version = 999")
        connection.commit()
    whole = file.read_bytes()
    newer = home(*ask, "--continue")
    assert newer.code == 3 and "999" in newer.error[0] and "--no-history" in newer.error[2]
    assert file.read_bytes() == whole
    with closing(sqlite3.connect(file)) as connection:
        connection.execute(f"PRAGMA user_version = {version}")
        connection.commit()
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    file.write_bytes(b"no database at all" * 400)
    corrupt = home(*ask, "--continue")
    assert corrupt.code == 0, corrupt.err
    assert "chats.db" in corrupt.err


def test_a_home_that_cannot_be_written_says_how_to_talk_all_the_same(home: Tissu) -> None:
    home.home.chmod(0o500)
    try:
        result = home.as_ordinary_user("chat", "long", "--continue", "-p", "The ", *SHORT)
        assert result.code == 4
        assert "--no-history" in result.error[2]
        silent = ("chat", "long", "--no-history", "-p", "The ", *SHORT)
        assert home.as_ordinary_user(*silent).code == 0
    finally:
        home.home.chmod(0o700)
