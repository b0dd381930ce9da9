"""Copying a text: by the terminal, by the platform's programs, at worst into a file.

Whether a terminal obeyed is never known, so only what a program gave back counts as copied.
"""

import base64
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tissu_cli.sessions.private_file import write_private
from tissu_core.runs.home import home

_MOST_BASE64 = 100_000
"""Terminals drop what is longer, some of them in the middle."""
_SCREEN_CHARACTERS = 250
"""GNU screen drops a longer string."""
_PATIENCE_SECONDS = 2.0
_ESC = "\x1b"


@dataclass(frozen=True, slots=True, kw_only=True)
class Copied:
    """What became of a text. ``way`` is a program, "terminal", "file" or "nowhere"."""

    way: str
    is_verified: bool
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Program:
    copy: tuple[str, ...]
    paste: tuple[str, ...]
    needs: str = ""
    """A variable without which it cannot work."""
    encoding: str = "utf-8"


_POWERSHELL = "[Console]::OutputEncoding = [Text.Encoding]::UTF8; Get-Clipboard -Raw"
_PROGRAMS = (
    _Program(copy=("pbcopy",), paste=("pbpaste",)),
    _Program(copy=("wl-copy",), paste=("wl-paste", "--no-newline"), needs="WAYLAND_DISPLAY"),
    _Program(
        copy=("xclip", "-selection", "clipboard", "-in"),
        paste=("xclip", "-selection", "clipboard", "-out"),
        needs="DISPLAY",
    ),
    _Program(
        copy=("xsel", "--clipboard", "--input"),
        paste=("xsel", "--clipboard", "--output"),
        needs="DISPLAY",
    ),
    _Program(
        copy=("clip.exe",),
        paste=("powershell.exe", "-NoProfile", "-Command", _POWERSHELL),
        encoding="utf-16",
    ),
)


def copy_text(
    text: str,
    write_to_terminal: Callable[[str], None] | None,
    environ: Mapping[str, str],
    *,
    patience_seconds: float = _PATIENCE_SECONDS,
) -> Copied:
    """Copy a text in every way there is, and say honestly what became of it.

    Without ``write_to_terminal`` there is no terminal that could be asked.
    """
    text = text.encode("utf-8", "replace").decode()
    sequence = _terminal_sequence(text, environ)
    if sequence and write_to_terminal is not None:
        write_to_terminal(sequence)
    for program in _PROGRAMS:
        if _is_here(program, environ) and _copies(program, text, environ, patience_seconds):
            name = program.copy[0]
            return Copied(way=name, is_verified=True, message=f"copied with {name}, and read back")
    if write_to_terminal is None:
        return _keep(text, "not copied: this terminal cannot", is_sent=False)
    if not sequence:
        return _keep(text, "not copied: too long for a terminal", is_sent=False)
    return _keep(text, "sent to the terminal (unverified)", is_sent=True)


def _keep(text: str, sent: str, *, is_sent: bool) -> Copied:
    file = home() / "copied.txt"
    try:
        write_private(file, text.encode())
    except OSError as error:
        said = f"{sent}; {file} cannot be written: {error.strerror}"
        return Copied(way="terminal" if is_sent else "nowhere", is_verified=False, message=said)
    way = "terminal" if is_sent else "file"
    return Copied(way=way, is_verified=False, message=f"{sent}, and kept in {file}")


def _terminal_sequence(text: str, environ: Mapping[str, str]) -> str:
    """OSC 52, handed through what stands between; empty where it is too long."""
    encoded = base64.b64encode(text.encode()).decode()
    if len(encoded) > _MOST_BASE64:
        return ""
    sequence = f"{_ESC}]52;c;{encoded}\a"
    if environ.get("TMUX"):
        # tmux obeys the bare one where set-clipboard is on, and hands on the other where
        # allow-passthrough is.
        return f"{_ESC}Ptmux;{sequence.replace(_ESC, _ESC * 2)}{_ESC}\\{sequence}"
    if environ.get("STY"):
        pieces = [
            sequence[start : start + _SCREEN_CHARACTERS]
            for start in range(0, len(sequence), _SCREEN_CHARACTERS)
        ]
        return "".join(f"{_ESC}P{piece}{_ESC}\\" for piece in pieces)
    return sequence


def _is_here(program: _Program, environ: Mapping[str, str]) -> bool:
    if program.needs and not environ.get(program.needs):
        return False
    return all(_found(words[0], environ) for words in (program.copy, program.paste))


def _found(name: str, environ: Mapping[str, str]) -> str | None:
    return shutil.which(name, path=environ.get("PATH", os.defpath))


def _copies(
    program: _Program, text: str, environ: Mapping[str, str], patience_seconds: float
) -> bool:
    """Whether the clipboard holds the text after the program was given it."""
    given = text.encode(program.encoding)
    if _run(program.copy, environ, patience_seconds, given) is None:
        return False
    found = _run(program.paste, environ, patience_seconds)
    return found is not None and _plain(found.decode("utf-8", "replace")) == _plain(text)


def _plain(text: str) -> str:
    """Without what programs change about the ends of lines."""
    return text.replace("\r\n", "\n").rstrip("\n")


def _run(
    words: tuple[str, ...],
    environ: Mapping[str, str],
    patience_seconds: float,
    given: bytes | None = None,
) -> bytes | None:
    """What a program prints, or nothing where it is given something; None if it fails or hangs.

    One that is given something may stay behind it to own the clipboard, with its output open.
    """
    path = Path(_found(words[0], environ) or words[0])
    try:
        with subprocess.Popen(
            [path, *words[1:]],
            stdin=subprocess.DEVNULL if given is None else subprocess.PIPE,
            stdout=subprocess.PIPE if given is None else subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=dict(environ),
            start_new_session=True,
        ) as process:
            try:
                printed, _ = process.communicate(given, timeout=patience_seconds)
            except BaseException:
                _kill(process)
                raise
    except (OSError, subprocess.TimeoutExpired):
        return None
    return (printed or b"") if process.returncode == 0 else None


def _kill(process: "subprocess.Popen[bytes]") -> None:
    """End a program and all that it started."""
    if sys.platform == "win32":
        process.kill()
        return
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
