"""Lines of styled text, and where they wrap.

A style is a name that whoever draws knows ("strong", "code keyword"), or the number of a token.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from rich.cells import cell_len, get_character_cell_size

from tissu_core.sanitize import sanitize

if TYPE_CHECKING:
    from tissu_cli.render.markdown.code import Code

Span = tuple[str, str | int]
"""A text and its style."""
Spans = tuple[Span, ...]
Wrap = Literal["word", "space", "any"]
"""At words, swallowing the space between them; at words, keeping it; anywhere."""

_ONE_CELL_EACH = re.compile(
    "[ -~\u00a0-\u00ac\u00ae-\u02ff\u0370-\u0482\u2010-\u2027\u23ce\u2400-\u2421]*"
)
_TAB = 4


@dataclass(slots=True)
class Line:
    """One line of a reply, before it is wrapped. What is in ``spans`` can be selected."""

    spans: Spans
    first: Spans = ()
    """Drawn before the first row, never selected."""
    rest: Spans = ()
    """Drawn before the other rows."""
    fill: str = ""
    """The style of the space behind it."""
    wrap: Wrap = "word"
    joins: bool = False
    """It goes on where the line before it ends."""
    before: str = "\n"
    """What a copy has between this line and the one before it."""
    code: "Code | None" = field(default=None, compare=False, repr=False)
    """Of a line of code: gives it colour once its fence is closed."""

    @property
    def text(self) -> str:
        """All that can be selected."""
        spans = self.spans
        return spans[0][0] if len(spans) == 1 else "".join(text for text, _ in spans)

    def lines(self, width: int) -> "tuple[Line]":
        """Itself: a line has no other shape in another width, as a table has."""
        return (self,)

    def between(self, start: int, end: int) -> Spans:
        """The spans of some of its characters."""
        cut: list[Span] = []
        at = 0
        for text, style in self.spans:
            if at >= end:
                break
            if piece := text[max(0, start - at) : end - at]:
                cut.append((piece, style))
            at += len(text)
        return tuple(cut)

    def rows(self, width: int) -> list[tuple[int, int]]:
        """Where its rows begin and end in its text; a line has at least one."""
        first, rest = (max(1, width - cells(margin)) for margin in (self.first, self.rest))
        return wrap(self.text, first, rest, self.wrap)


def clean(text: str) -> str:
    """Text that is safe to draw: control characters visible, no tabs."""
    text = sanitize(text)
    return text.expandtabs(_TAB) if "\t" in text else text


def cells(spans: Sequence[Span]) -> int:
    """How many cells of a terminal they take."""
    return sum(cell_len(text) for text, _ in spans)


def wrap(text: str, first: int, rest: int, how: Wrap) -> list[tuple[int, int]]:
    """Where the rows of a text begin and end; ``first`` and ``rest`` are cells."""
    text = text.rstrip(" ") if how == "word" else text
    rows = _wrap_narrow if _ONE_CELL_EACH.fullmatch(text) else _wrap_wide
    return rows(text, first, rest, how)


def _wrap_narrow(text: str, room: int, rest: int, how: Wrap) -> list[tuple[int, int]]:
    """``wrap`` for characters of one cell each: looks only at the ends of rows."""
    rows = []
    start = 0
    while len(text) - start > room:
        end = following = start + room
        # A space at the very start is no place to break: the row would be empty.
        if how != "any" and (space := text.rfind(" ", start + 1, end + 1)) > 0:
            end = following = space
            if how == "word":
                while text[following] == " ":
                    following += 1
                end = start + len(text[start:end].rstrip(" "))
        rows.append((start, end))
        start, room = following, rest
    rows.append((start, len(text)))
    return rows


def _wrap_wide(text: str, room: int, rest: int, how: Wrap) -> list[tuple[int, int]]:
    """``wrap`` for any characters: never inside one that is made of several code points."""
    rows = []
    start = used = last_width = 0
    good: tuple[int, int, int] | None = None  # a place to break: row end, next start, cells so far
    for at, end, width in _characters(text):
        is_swallowed = how == "word" and text[at:end] == " "
        if how != "any" and at > start:
            if is_swallowed:
                row_end = good[0] if good and good[1] == at and text[at - 1] == " " else at
                good = (row_end, end, used + width)
            elif text[at] == " " or (2 in (width, last_width) and not (good and good[1] == at)):
                good = (at, at, used)
        while used + width > room and at > start and not is_swallowed:
            row_end, following, taken = good or (at, at, used)
            rows.append((start, row_end))
            start, used, good, room = following, used - taken, None, rest
        used += width
        last_width = width
    rows.append((start, len(text)))
    return rows


def _characters(text: str) -> list[tuple[int, int, int]]:
    """Start, end and cells of each, with what combines with it."""
    found: list[tuple[int, int, int]] = []
    start = 0
    for at in range(1, len(text) + 1):
        if at < len(text) and (
            text[at - 1] == "\u200d"
            or text[at] in "\u200d\ufe0f"
            or not get_character_cell_size(text[at])
        ):
            continue
        found.append((start, at, cell_len(text[start:at])))
        start = at
    return found
