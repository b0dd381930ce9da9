"""The rows of a reply in one width. Of more text, only the new rows are made."""

import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple, Protocol

from tissu_cli.render.markdown.lines import Line, Spans


class Item(Protocol):
    """Part of a page that is finished."""

    def lines(self, width: int) -> Sequence[Line]:
        """Its lines in a width."""


class Page(Protocol):
    """What can be laid out: finished items, to which more are added, and an open end."""

    @property
    def items(self) -> Sequence[Item]:
        """What is finished."""

    def tail(self) -> Sequence[Item]:
        """What is open."""


class Row(NamedTuple):
    """A row on the screen: some characters of a line."""

    line: Line
    start: int
    end: int

    @property
    def margin(self) -> Spans:
        """What stands before it."""
        return self.line.rest if self.start else self.line.first

    @property
    def spans(self) -> Spans:
        """What can be selected of it."""
        return self.line.between(self.start, self.end)


class Layout:
    """The rows of a page in a width."""

    def __init__(self, width: int) -> None:
        self.width = width
        self.rows: list[Row] = []
        self._items = 0
        self._finished = 0
        self._last: Row | None = None  # the last finished row: the open end may go on in it

    def update(self, page: Page) -> int:
        """Lay out what is new and the open end; the first row that may not be as it was."""
        del self.rows[self._finished :]
        if self._last:
            self.rows[-1] = self._last
        first = max(0, len(self.rows) - 1)
        for item in page.items[self._items :]:
            self._add(item)
        self._items = len(page.items)
        self._finished = len(self.rows)
        self._last = self.rows[-1] if self.rows else None
        for item in page.tail():
            self._add(item)
        return first

    def _add(self, item: Item) -> None:
        for line in item.lines(self.width):
            whole = _joined(self.rows, line) if line.joins and self.rows else line
            self.rows += [Row(whole, start, end) for start, end in whole.rows(self.width)]

    def text(self, start: tuple[int, int], end: tuple[int, int]) -> str:
        """The text from a row and character to another, as it was before it was wrapped."""
        pieces: list[str] = []
        for number in range(start[0], min(end[0] + 1, len(self.rows))):
            row = self.rows[number]
            if number > start[0]:
                pieces.append(_between(self.rows[number - 1], row))
            begin = row.start + (max(0, start[1]) if number == start[0] else 0)
            stop = min(row.end, row.start + max(0, end[1])) if number == end[0] else row.end
            pieces.append(row.line.text[begin:stop])
        return "".join(pieces)


def _between(before: Row, row: Row) -> str:
    """What a copy has between two rows: of one line, the space at which it was wrapped."""
    return row.line.text[before.end : row.start] if row.start else row.line.before


def _joined(rows: list[Row], line: Line) -> Line:
    """The last row taken back, as the beginning of the line that goes on in it."""
    row = rows.pop()
    return replace(
        line,
        spans=row.line.between(row.start, sys.maxsize) + line.spans,
        first=row.margin,
        joins=False,
        before=_between(rows[-1], row) if rows else "",
    )
