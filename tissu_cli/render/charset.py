"""Drawings for terminals that cannot show them: one stand-in a cell, so that every layout holds.

Renderers draw as if every character could be shown. A stream whose encoding lacks one asks here
while it encodes, so there is one place to decide and nothing to remember anywhere else.
"""

import codecs
import os
import unicodedata
from collections.abc import Mapping
from contextlib import suppress
from typing import TextIO

_DRAWN: dict[int, str] = {
    **dict(zip(map(ord, " ▁▂▃▄▅▆▇█"), " .:-=+*#@", strict=True)),
    **dict(zip(map(ord, "░▒▓"), ".:#", strict=True)),
    **dict(zip(map(ord, "·…×⏎‹›«»–—‘’“”•→"), "-~x/<><>--''\"\"*>", strict=True)),  # noqa: RUF001  meant
    **dict(zip(map(ord, "░▒▓▏▎▍▌▋▊▉"), ".+%|||####", strict=True)),
    **dict.fromkeys(map(ord, "─━═╸╺"), "-"),
    **dict.fromkeys(map(ord, "│┃║"), "|"),
    **dict.fromkeys(map(ord, "╭╮╰╯┌┐└┘├┤┬┴┼"), "+"),
    0x2800: " ",
}
_BY_HEIGHT = ((0xC0, "."), (0x24, ","), (0x12, "-"), (0x09, "'"))
"""Dots of a braille cell from the lowest row up, and the character that stands as high."""


def ascii_of(char: str) -> str | None:
    """What a drawing character looks like in ASCII; None for a letter of a text."""
    code = ord(char)
    if 0x2800 < code < 0x2900:
        rows = [mark for dots, mark in _BY_HEIGHT if code & dots]
        return rows[0] if len(rows) == 1 else ":" if len(rows) == 2 else "|"
    return _DRAWN.get(code)


def spelled(error: UnicodeError) -> tuple[str, int]:
    """Error handler of lines: drawings in ASCII, letters spelled out; nothing is lost."""
    assert isinstance(error, UnicodeEncodeError)
    chars = error.object[error.start : error.end]
    return "".join(ascii_of(c) or _spell(c) for c in chars), error.end


def celled(error: UnicodeError) -> tuple[str, int]:
    """Error handler of panels: every character takes the cells it took, letters as ``?``."""
    assert isinstance(error, UnicodeEncodeError)
    chars = error.object[error.start : error.end]
    return "".join(ascii_of(c) or "?" * _cells(c) for c in chars), error.end


def _spell(char: str) -> str:
    return char.encode("ascii", "backslashreplace").decode("ascii")


def _cells(char: str) -> int:
    if unicodedata.combining(char):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


codecs.register_error("tissu.spelled", spelled)
codecs.register_error("tissu.celled", celled)


def use_stand_ins(stream: TextIO, handler: str = "tissu.spelled") -> None:
    """Let a stream write a stand-in for what it cannot show, never an exception.

    Under ``LC_ALL=C`` Python writes UTF-8 all the same; a terminal that was told C gets ASCII.
    """
    is_ascii = stream.isatty() and _asks_for_ascii()
    with suppress(AttributeError):  # a stream of a test, or of another program
        stream.reconfigure(  # type: ignore[attr-defined]
            errors=handler, encoding="ascii" if is_ascii else None
        )


def _asks_for_ascii(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether the locale is C by somebody's word. One that was never set says nothing."""
    if environment.get("PYTHONIOENCODING") or environment.get("PYTHONUTF8") == "1":
        return False
    given = environment.get("LC_ALL") or environment.get("LC_CTYPE")
    if given is None or given in ("C.UTF-8", "C.utf8", "UTF-8"):  # Python's own, set over LANG=C
        given = environment.get("LC_ALL") or environment.get("LANG", "")
    return given in ("C", "POSIX")
