"""Copying says what is true."""

import base64
import os
import re
import stat
from pathlib import Path

import pytest

from tissu_cli.sessions.clipboard import Copied, copy_text
from tissu_core.runs.home import home

pytestmark = pytest.mark.skipif(os.name != "posix", reason="the programs are shell scripts")
TEXT = "naïve 汉字\n\n  and more\n"
KEEPS = 'cat > "$STORE"'
GIVES = 'cat "$STORE"'


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    folder = tmp_path / "bin"
    folder.mkdir()
    return folder


def install(folder: Path, name: str, script: str) -> None:
    program = folder / name
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)


def copy(folder: Path, text: str = TEXT, **environ: str) -> tuple[Copied, str]:
    """What became of it, and what the terminal was sent."""
    sent: list[str] = []
    path = {"PATH": f"{folder}:/usr/bin:/bin", "STORE": str(folder / "store")}
    patience = 0.3 if environ.pop("hangs", "") else 10.0
    copied = copy_text(text, sent.append, {**path, **environ}, patience_seconds=patience)
    return copied, "".join(sent)


def test_what_a_program_gives_back_is_copied(programs: Path) -> None:
    install(programs, "wl-copy", KEEPS)
    install(programs, "wl-paste", GIVES)
    copied, sent = copy(programs, WAYLAND_DISPLAY="wayland-0")
    assert copied.is_verified and copied.way == "wl-copy" and "read back" in copied.message
    assert (programs / "store").read_text() == TEXT
    assert base64.b64decode(sent.removeprefix("\x1b]52;c;").removesuffix("\a")).decode() == TEXT
    assert not (home() / "copied.txt").exists()


def test_programs_of_a_display_that_is_not_there_are_left_alone(programs: Path) -> None:
    for name in ("wl-copy", "wl-paste", "xclip", "xsel"):
        install(programs, name, f"{KEEPS}; {GIVES}")
    copied, _ = copy(programs)
    assert not copied.is_verified
    assert not (programs / "store").exists()


def test_the_same_program_may_copy_and_paste(programs: Path) -> None:
    install(programs, "xclip", f'case "$*" in *-out) {GIVES};; *) {KEEPS};; esac')
    copied, _ = copy(programs, DISPLAY=":0")
    assert copied.is_verified and copied.way == "xclip"


def test_one_that_lies_is_not_believed_and_the_next_is_asked(programs: Path) -> None:
    install(programs, "wl-copy", "cat > /dev/null")
    install(programs, "wl-paste", "echo something older")
    copied, sent = copy(programs, WAYLAND_DISPLAY="wayland-0", DISPLAY=":0")
    assert copied.way == "terminal" and sent and not copied.is_verified
    assert "unverified" in copied.message and str(home() / "copied.txt") in copied.message
    install(programs, "xsel", f'case "$*" in *--output) {GIVES};; *) {KEEPS};; esac')
    copied, _ = copy(programs, WAYLAND_DISPLAY="wayland-0", DISPLAY=":0")
    assert copied.is_verified and copied.way == "xsel"


@pytest.mark.parametrize("script", ["exit 1", "exit 0", "kill -9 $$"])
def test_one_that_fails_is_not_believed(programs: Path, script: str) -> None:
    install(programs, "pbcopy", script)
    install(programs, "pbpaste", script)
    copied, _ = copy(programs)
    assert not copied.is_verified


@pytest.mark.parametrize("hanging", ["pbcopy", "pbpaste"])
def test_one_that_hangs_is_ended_with_all_that_it_started(programs: Path, hanging: str) -> None:
    install(programs, "pbcopy", KEEPS)
    install(programs, "pbpaste", GIVES)
    install(programs, hanging, f'sleep 1000 & echo $! > "{programs}/pid"; wait')
    copied, _ = copy(programs, hangs="yes")
    assert not copied.is_verified
    assert (home() / "copied.txt").read_text() == TEXT
    pid = int((programs / "pid").read_text())
    status = Path(f"/proc/{pid}/status")
    assert not status.exists() or "zombie" in status.read_text()


def test_one_that_stays_to_own_the_clipboard_is_not_waited_for(programs: Path) -> None:
    install(programs, "pbcopy", f'{KEEPS}; (sleep 60; echo late) & echo $! > "{programs}/pid"')
    install(programs, "pbpaste", GIVES)
    copied, _ = copy(programs)
    assert copied.is_verified
    os.kill(int((programs / "pid").read_text()), 9)


def test_windows_gets_and_gives_its_own_ends_of_lines(programs: Path) -> None:
    install(programs, "clip.exe", 'iconv -f UTF-16 -t UTF-8 > "$STORE"')
    install(programs, "powershell.exe", 'sed "s/$/\\r/" "$STORE"; printf "\\r\\n"')
    copied, _ = copy(programs)
    assert copied.is_verified and copied.way == "clip.exe"


def test_without_any_program_the_text_is_in_a_private_file(programs: Path) -> None:
    copied, sent = copy(programs)
    file = home() / "copied.txt"
    assert copied == Copied(
        way="terminal",
        is_verified=False,
        message=f"sent to the terminal (unverified), and kept in {file}",
    )
    assert sent and file.read_text() == TEXT
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    copy(programs, "the next")
    assert file.read_text() == "the next"


def test_what_a_terminal_would_cut_is_not_sent(programs: Path) -> None:
    _, sent = copy(programs, "x" * 75_000)
    assert len(sent) == 100_000 + len("\x1b]52;c;\a")
    copied, sent = copy(programs, "x" * 75_001)
    assert sent == "" and copied.way == "file" and "too long" in copied.message
    assert "unverified" not in copied.message


def test_where_no_file_can_be_kept_that_is_said(programs: Path) -> None:
    home().parent.mkdir(exist_ok=True)
    home().write_text("in the way")
    copied, _ = copy(programs)
    assert copied.way == "terminal" and "cannot be written" in copied.message
    copied, _ = copy(programs, "x" * 100_000)
    assert copied.way == "nowhere" and not copied.is_verified


def test_tmux_and_screen_hand_it_on(programs: Path) -> None:
    _, bare = copy(programs)
    _, sent = copy(programs, TMUX="/tmp/tmux")
    assert sent == "\x1bPtmux;" + bare.replace("\x1b", "\x1b\x1b") + "\x1b\\" + bare
    _, long = copy(programs, "x" * 2000)
    _, sent = copy(programs, "x" * 2000, STY="1.screen")
    pieces = re.findall(r"\x1bP(.{1,250}?)\x1b\\", sent)
    assert "".join(pieces) == long and len(pieces) > 5


def test_odd_text_is_copied_as_far_as_it_is_text(programs: Path) -> None:
    install(programs, "pbcopy", KEEPS)
    install(programs, "pbpaste", GIVES)
    copied, _ = copy(programs, "half \udc80 \x1b[31m")
    assert copied.is_verified
    assert (programs / "store").read_text() == "half ? \x1b[31m"
