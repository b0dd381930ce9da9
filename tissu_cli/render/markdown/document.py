"""A Markdown reply as lines: what is finished, and what is still open."""

from tissu_cli.render.markdown.blocks import Block
from tissu_cli.render.markdown.code import Code
from tissu_cli.render.markdown.inline import styled
from tissu_cli.render.markdown.lines import Line, Spans, cells, clean
from tissu_cli.render.markdown.splitter import Splitter
from tissu_cli.render.markdown.tables import Table

Item = Line | Table
"""A finished piece of a reply, which has lines for every width."""


class Rule(Line):
    """A thematic break, as wide as the screen."""

    __slots__ = ()

    def lines(self, width: int) -> tuple[Line]:
        """The dashes, which are no text."""
        dashes = "-" * max(0, width - cells(self.rest))
        return (Line((), first=(*self.rest, (dashes, "rule")), before=""),)


class Document:
    """Takes a reply as it comes; ``items`` only grows."""

    def __init__(self) -> None:
        self.items: list[Item] = []
        self.codes: list[Code] = []
        self.closed_codes = 0
        """How many of them have their end, and can be coloured."""
        self._splitter = Splitter()

    def feed(self, text: str) -> None:
        """Take more text."""
        self._add(self._splitter.feed(text))

    def finish(self) -> None:
        """Take what is open as finished: no more text comes."""
        self._add(self._splitter.finish())

    def tail(self) -> list[Item]:
        """What is open, drawn as if the reply ended here."""
        return [item for block in self._splitter.tail() for item in _items(block, is_open=True)]

    def _add(self, blocks: list[Block]) -> None:
        for block in blocks:
            is_code = block.kind in ("code", "code end")
            if is_code and block.language is not None:
                self.codes.append(Code(block.language))
            if block.kind == "code end":
                self.codes[-1].close()
                self.closed_codes += 1
                continue
            items = _items(block)
            self.items += items
            if is_code and isinstance(line := items[-1], Line):
                self.codes[-1].add(block.text, line)


def _items(block: Block, *, is_open: bool = False) -> list[Item]:
    gap: list[Item] = [] if block.gap is None else [Line((), first=block.gap)]
    if block.kind == "paragraph":
        text = _closed(block.text) if is_open else block.text
        return gap + _lines(block, styled(text, "quote" if block.is_quoted else ""))
    if block.kind == "heading":
        return gap + _lines(block, styled(block.text, f"heading-{block.level}"))
    if block.head:  # a marker alone, and below it what has no room for one
        gap.append(Line(block.head, first=block.first))
    if block.kind == "code":
        line = Line(((clean(block.text), "block"),), block.rest, block.rest, "block", "any")
        line.joins = block.joins
        return [*gap, line]
    if block.kind == "table":
        rows = tuple(block.text.split("\n"))
        return [*gap, Table(rows, block.aligns, block.level == 1, block.rest)]
    return [*gap, Rule((), rest=block.rest)]


def _lines(block: Block, lines: list[Spans]) -> list[Item]:
    """The lines of a paragraph, the first one behind its markers."""
    return [
        Line(spans, block.rest, block.rest, joins=block.joins and not number)
        if number or not block.head
        else Line((*block.head, *spans), block.first, block.rest)
        for number, spans in enumerate(lines)
    ]


def _closed(text: str) -> str:
    """An open paragraph whose emphasis is drawn as such before its end has come."""
    for mark in ("`", "**"):
        if text.count(mark) % 2 and not text.endswith(mark[0]):
            return text.rstrip() + mark
    return text
