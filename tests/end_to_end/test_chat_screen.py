"""``tissu chat`` on a real terminal: a screen that is whole, safe, and leaves nothing behind."""

import asyncio
import os
import re
import shutil
import signal
from pathlib import Path

import pytest

from tests.end_to_end.conftest import Tissu
from tests.end_to_end.screens import CONTROLS, LONG, Chat, Watched, hostile_conversation, kept
from tests.end_to_end.test_processes import start_long_run
from tests.end_to_end.test_terminal import HOSTILE
from tissu_core.checkpoint.store import CheckpointStore

pytestmark = pytest.mark.skipif(os.name != "posix", reason="pseudo-terminals")


@pytest.fixture
def home(talker: Tissu, tmp_path: Path) -> Path:
    """A home with the model of ``talker``, and no conversations."""
    path = tmp_path / "home"
    path.mkdir()
    (path / "runs").symlink_to(talker.home / "runs")
    return path


def is_whole(chat: Chat) -> bool:
    """Whether the prompt, the status and the footer are where they belong."""
    *_, prompt, status, footer = chat.screen.display
    return "/ for commands" in prompt and "tok/s" in status and "Stop" in footer


def test_a_conversation_from_the_first_picture_to_the_end(home: Path, tmp_path: Path) -> None:
    chat = Watched(home, tmp_path / "err", *LONG)
    chat.child.send("The weaver ")  # before there is anything to be seen
    chat.shows("Type a message and press Enter", "Replies are generated", "The weaver")
    chat.child.send("\r")
    chat.shows("long step 6", "● ", "tok/s", "sails.")
    for size in ((40, 120), (12, 50)):
        chat.resize(*size)
        chat.until(lambda: is_whole(chat) and "sails" in chat.frame, size)
    chat.child.send("\x1b")
    chat.shows("○ ", "stopped")
    chat.resize(24, 80)
    chat.child.send(b"The miller caf\xe9 \xff")  # Latin-1, which is no text here
    chat.shows("The miller caf\ufffd")
    chat.child.send("\r")
    chat.shows("● ")
    chat.quit()
    assert (tmp_path / "err").read_bytes() == b""
    (conversation,) = kept(home)
    turns = [(turn.role, turn.state) for turn in conversation.path()]
    assert turns == [("user", "done"), ("assistant", "stopped")] * 2
    assert conversation.path()[0].text == "The weaver "


def test_a_conversation_and_its_draft_come_back(home: Path) -> None:
    first = Chat(home, "--max-tokens", "4", "--min-tokens", "4")
    first.is_ready()
    first.send("A question of looms")
    first.shows("4 out", "○ ")
    first.child.send("half a though")
    first.shows("half a though")
    os.kill(first.child.pid, signal.SIGTERM)
    assert first.read_to_end() == 143
    first.assert_restored()
    second = Chat(home, "--session", "looms")
    second.shows("A question of looms", "long · 4 tokens", "half a though")
    second.child.send("t\x15")
    second.until(lambda: "half" not in second.frame, "an empty prompt")
    second.send("/rename Weaving")
    second.shows("   Weaving")
    second.quit()
    assert kept(home)[0].title == "Weaving"
    assert kept(home)[0].draft == ""


def test_a_terminal_of_twenty_by_five_is_enough(home: Path) -> None:
    chat = Chat(home, *LONG, size=(5, 20))
    chat.shows("○ ready")
    chat.send("The weaver ")
    # A quick machine is done before anyone looks, and from 1,000 tokens a second the unit is cut.
    chat.shows("/s")
    chat.child.send("\x1b")
    chat.shows("○ ")
    chat.resize(24, 80)
    chat.shows("The weaver", "/ for commands", "○ ")
    chat.quit()
    assert chat.foreign == []


def test_when_the_models_process_is_killed_the_screen_says_so_and_goes_on(home: Path) -> None:
    chat = Chat(home, *LONG)
    chat.is_ready()
    chat.send("The weaver ")
    chat.shows("sails", "● ")
    (worker,) = chat.children
    os.kill(worker, signal.SIGKILL)
    chat.shows("the model's process was ended (signal 9)", "y yes")
    chat.child.send("n")
    chat.until(lambda: "y yes" not in chat.frame, "the conversation")
    chat.send("The miller ")
    chat.shows("The miller", "● ", "tok/s")
    assert chat.children != [worker]
    chat.quit()
    states = [turn.state for turn in kept(home)[0].path() if turn.role == "assistant"]
    assert states == ["failed", "stopped"]


def test_a_bug_ends_the_screen_with_three_lines(home: Path, tmp_path: Path) -> None:
    program = """
from tissu_cli.main import main
from tissu_cli.tui.screen_front import ScreenFront
def fail(self): raise ZeroDivisionError("a bug")
ScreenFront.show_stats = fail
main()
"""
    words = ("--min-tokens", "4", "--max-tokens", "4")
    chat = Watched(home, tmp_path / "err", *words, program=program)
    chat.is_ready()
    chat.send("A question of looms")
    chat.shows("4 out", "○ ")
    chat.send("/stats")
    assert chat.read_to_end() == 1
    chat.assert_restored()
    lines = (tmp_path / "err").read_text("utf-8").splitlines()
    assert [line.split(":")[0] for line in lines] == ["error", "safe", "try"]
    assert "a bug" in lines[0]
    assert "A question of looms" in kept(home)[0].path()[0].text


@pytest.mark.parametrize(
    ("options", "code", "says"),
    [
        (["--theme", "drakula"], 2, "--theme dracula"),
        (["--key-preset", "emacs"], 2, "vim"),
        (["nobody"], 3, "no such run"),
        (["--session", "nothing"], 3, "no conversation 'nothing'"),
        (["--follow", "nobody"], 3, "nobody"),
        (["long", "--follow", "long"], 2, "--follow names the model"),
    ],
)
def test_what_cannot_be_is_said_before_there_is_a_screen(
    home: Path, options: list[str], code: int, says: str
) -> None:
    chat = Chat(home, *options)
    assert chat.read_to_end() == code
    assert b"\x1b[?" not in chat.raw
    assert says in chat.text


def test_wrong_keys_are_said_before_there_is_a_screen(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tissu.toml").write_text('[chat]\nkeys = ["sned=f5"]\n', "utf-8")
    monkeypatch.chdir(tmp_path)
    chat = Chat(home)
    assert chat.read_to_end() == 2
    assert b"\x1b[?" not in chat.raw
    assert "did you mean send" in chat.text


NOISE = """
import os, threading, time
def noise():
    while os.isatty(2):  # until the screen takes it
        time.sleep(0.01)
    for number in range(400):
        os.write(2, b"noise %d of a library\\n" % number)
        time.sleep(0.002)
    os.write(2, b"its last words\\n")
threading.Thread(target=noise, daemon=True).start()
"""


def test_what_libraries_write_to_stderr_does_not_tear_the_screen(
    home: Path, tmp_path: Path
) -> None:
    (tmp_path / "sitecustomize.py").write_text(NOISE, "utf-8")
    chat = Chat(home, "--min-tokens", "4", "--max-tokens", "4", PYTHONPATH=str(tmp_path))
    chat.is_ready()
    chat.send("The weaver ")
    chat.shows("The weaver", "4 out", "○ ")
    chat.send("/log")
    chat.shows("the model's log", "noise 1 of a library")
    chat.child.send("\x1b")
    chat.until(lambda: "noise" not in chat.frame and is_whole(chat), "the conversation")
    chat.quit()
    drawn, _, after = chat.raw.partition(b"\x1b[?1049l")
    assert b"noise" not in drawn.partition(b"\x1b[?1049h")[2].split(b"the model's log")[0]
    assert b"its last words" in after, "it is not lost"
    assert after.count(b"noise") == 19, "the last 20 lines are enough"


def test_no_text_of_anybody_commands_the_terminal(hostile_home: Tissu, tmp_path: Path) -> None:
    """Replies, titles, names, prompts and what is pasted are drawn, and never obeyed."""
    home = tmp_path / "home"
    model = home / "models" / f"m{HOSTILE.replace('/', '')}"
    shutil.copytree(hostile_home.home / "runs" / "h" / "model", model)
    hostile_conversation(home, str(model))
    chat = Chat(home, "--continue", "--seed", "1", "--min-tokens", "20", "--max-tokens", "20")
    chat.shows("parameters", "␛]52", "○")
    chat.child.send("\x15" * 40)
    chat.paste(HOSTILE[:5])
    chat.child.send("\r")
    chat.shows("cut at its length", "○ ")
    for command in ("tokens", "sessions", "model", "prompt", "stats"):
        sign = "entropy" if command == "tokens" else "Esc"
        chat.send(f"/{command}")
        chat.shows(sign)
        chat.child.send("\x1b")
        chat.until(lambda sign=sign: sign not in chat.frame, command)
    chat.paste("/resume [@click=x]" + HOSTILE.replace("\x1b", "\x9b"))
    chat.send("")
    chat.shows("there is no conversation")
    chat.quit()
    assert chat.foreign == []
    assert not re.search(rb"\x1b\][^2]|\x1b[P_^X]|\x1b\[\d*[JKLM]", chat.raw)
    said = [turn.text for turn in kept(home)[0].path()]
    assert any("\x1b" in text for text in said[2:]), "the texts are kept as they are"


def test_a_hostile_reply_is_safe_wherever_it_is_cut() -> None:
    from textual.app import App, ComposeResult

    from tissu_cli.tui.reply_body import ReplyBody

    text = f"- {HOSTILE}\n"
    bodies = [ReplyBody() for _ in range(len(text) + 1)]

    class Page(App[None]):
        def compose(self) -> ComposeResult:
            yield from bodies

    async def play() -> None:
        async with Page().run_test(size=(60, 24)) as pilot:
            for cut, body in enumerate(bodies):
                body.append(text[:cut])
                body.append(text[cut:])
            await pilot.pause()
            for body in bodies:
                body.finish()
                lines = [body.render_line(y).text for y in range(body.size.height)]
                assert lines == [bodies[0].render_line(y).text for y in range(len(lines))]
                assert "␛" in lines[0] and not any(map(CONTROLS.search, lines))

    asyncio.run(play())


def test_without_colour_there_is_none(home: Path) -> None:
    chat = Chat(home, NO_COLOR="1")
    chat.is_ready()
    chat.quit()
    codes = {
        code for codes in re.findall(rb"\x1b\[([0-9;]*)m", chat.raw) for code in codes.split(b";")
    }
    assert codes <= {b"0", b"1", b"2", b"3", b"4", b"7", b"9", b"39", b"49"}
    assert b"7" in codes, "the cursor is seen all the same"


def test_a_run_is_talked_to_while_it_trains(tissu: Tissu, corpus: Path) -> None:
    size = ("--context", "4096", "--batch-tokens", "4096", "--save-every", "2", "--keep", "2")
    run = start_long_run(tissu, corpus, *size)
    checkpoints = tissu.home / "runs" / "long" / "checkpoints"

    def newest() -> int:
        return CheckpointStore(checkpoints).pointed("last") or 0

    chat = Chat(tissu.home, "--follow", "long", *LONG)

    def step() -> int:
        shown = re.search(r"long step ([\d,]+)", chat.frame)
        return int(shown[1].replace(",", "")) if shown else 0

    chat.until(lambda: step() and "○" in chat.frame, "the run's checkpoint")
    chat.send("The weaver ")
    chat.shows("● ", "tok/s")
    first = step()
    chat.until(lambda: newest() >= first + 6, "three more saves")
    assert step() == first
    in_use = checkpoints / f"step-{first:06}"
    assert in_use.is_dir(), "a lease keeps what is talked to"
    chat.child.send("\x1b")
    chat.until(lambda: step() > first and "○" in chat.frame, "a newer checkpoint")
    chat.until(lambda: not in_use.exists(), "the one before is let go")
    chat.send("The miller ")
    chat.shows("The miller", "● ", "tok/s")
    chat.quit()
    run.send_signal(signal.SIGTERM)
    assert run.wait(60) == 143, "the run went on until it was told to stop"
