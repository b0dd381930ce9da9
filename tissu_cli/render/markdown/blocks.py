"""What a reply is cut into: blocks, and the lists and quotes that hold them."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from tissu_cli.render.markdown.lines import Span, Spans
from tissu_cli.render.markdown.tables import Align

Kind = Literal["paragraph", "heading", "code", "code end", "table", "rule"]
"""A block of code is one line, drawn as soon as it is there; ``code end`` follows the last."""

_BAR: Spans = ((" ", "bar"), (" ", "quote"))
_BULLET = "\u2022"


@dataclass(slots=True)
class Holder:
    """An open quote, or an open item of a list."""

    marker: str = ""
    """Of an item, as it was written; "" is a quote."""
    at: int = 0
    """Columns before the marker."""
    width: int = 0
    """Columns before the text of an item."""
    is_new: bool = False
    """The marker of an item is not drawn yet."""

    @property
    def margin(self) -> Spans:
        """What stands before its lines."""
        return ((" " * (len(self.drawn) + 1), ""),) if self.marker else _BAR

    @property
    def drawn(self) -> str:
        """The marker on the screen: numbers as they are in the source."""
        return _BULLET if self.marker in "-+*" else self.marker


@dataclass(frozen=True, slots=True)
class Block:
    """A finished piece of a reply: nothing that comes later changes it."""

    kind: Kind
    text: str = ""
    """As it was written, but for the marks of its kind; of a table, its rows."""
    level: int = 0
    """Of a heading; of a table, 1 if its first row is a header."""
    first: Spans = ()
    """Before the first row."""
    head: Spans = ()
    """Markers of lists: part of the text of the first row."""
    rest: Spans = ()
    """Before all other rows."""
    gap: Spans | None = None
    """What stands on the empty line before it; None: there is none."""
    joins: bool = False
    """It goes on in the line where the block before it ends."""
    is_quoted: bool = False
    aligns: tuple[Align, ...] = ()
    """Of a table, how its columns are aligned."""
    language: str | None = None
    """Of the first line of a block of code; None: it is not the first."""

    def onwards(self, *, joins: bool) -> "Block":
        """The block that goes on where this one was cut for its length."""
        return replace(
            self, text="", first=self.rest, head=(), gap=None, joins=joins, language=None
        )


def margin_of(holders: Sequence[Holder]) -> Spans:
    """What stands before the lines in open holders, their first ones apart."""
    return tuple(span for holder in holders for span in holder.margin)


def held(block: Block, holders: Sequence[Holder]) -> Block:
    """The block with the margins of what holds it; markers of new items are drawn with it."""
    first: list[Span] = []
    head: list[Span] = []
    for holder in holders:
        if holder.is_new:
            has_head = bool(head)
            # How deep an item is nested is part of its text, the bar of a quote is not.
            while not has_head and first and first[-1][1] == "":
                head.insert(0, first.pop())
            head += [(holder.drawn, "marker"), (" ", "")]
            holder.is_new = False
        else:
            (head or first).extend(holder.margin)
    is_quoted = not all(holder.marker for holder in holders)
    margins = tuple(first), tuple(head), margin_of(holders)
    return replace(block, first=margins[0], head=margins[1], rest=margins[2], is_quoted=is_quoted)


ATX = re.compile(r" {0,3}(#{1,6})(?:[ \t]+|$)")
SETEXT = re.compile(r" {0,3}(=+|-+)[ \t]*$")
RULE = re.compile(r" {0,3}([-*_])(?:[ \t]*\1){2,}[ \t]*$")
QUOTE = re.compile(r" {0,3}> ?")
ITEM = re.compile(r"( *)([-+*]|\d{1,9}[.)])(?:[ \t]{1,4}(?![ \t])|(?=[ \t])|$)")
FENCE = re.compile(r"( {0,3})(`{3,}|~{3,})[ \t]*([^`]*)$")


def title(text: str) -> str:
    """A heading without the marks that may close it."""
    text = text.rstrip()
    core = text.rstrip("#")
    return core.strip() if core[-1:] in ("", " ", "\t") else text.lstrip()


def starts_block(line: str) -> bool:
    """Whether a line begins something that ends a paragraph."""
    return any(mark.match(line) for mark in (ATX, FENCE, RULE))


def place_to_cut(text: str) -> int:
    """Where a long text can be cut without cutting what it says: at a line, or between words."""
    half = len(text) // 2
    if (newline := text.rfind("\n", half)) >= 0:
        return newline
    last = space = text.rfind(" ", half)
    for _ in range(30):
        if space < 0:
            break
        before = text[:space]
        is_even = not (before.count("`") % 2 or before.count("**") % 2)
        if is_even and before.count("[") == before.count("]"):
            return space
        space = text.rfind(" ", half, space)
    return last if last >= 0 else len(text)
