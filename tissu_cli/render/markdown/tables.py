"""Tables in the width that there is: no rules between columns, two spaces."""

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from tissu_cli.render.markdown.inline import styled
from tissu_cli.render.markdown.lines import Line, Span, Spans, cells

Align = Literal["left", "center", "right"]

_GAP = 2
_NARROWEST = 5
"""Cells of a column below which a row is drawn as a list of its cells."""
_BAR = re.compile(r"(?<!\\)\|")
_DELIMITER = re.compile(r"[ \t]*\|?(?:[ \t]*:?-+:?[ \t]*\|)*(?:[ \t]*:?-+:?[ \t]*)?$")


def cells_of(row: str) -> list[str]:
    """The texts of the cells of a row."""
    row = row.strip()
    row = row.removeprefix("|")
    found = [cell.strip().replace("\\|", "|") for cell in _BAR.split(row)]
    return found[:-1] if len(found) > 1 and not found[-1] else found


def aligns_of(line: str, header: str) -> tuple[Align, ...]:
    """How columns are aligned, if ``line`` is what stands below the header of a table; else ()."""
    if "-" not in line or "|" not in line + header or not _DELIMITER.match(line):
        return ()
    marks = cells_of(line)
    if len(marks) != len(cells_of(header)) or not all(marks):
        return ()
    return tuple(map(_align, marks))


def _align(mark: str) -> Align:
    if mark.endswith(":"):
        return "center" if mark.startswith(":") else "right"
    return "left"


@dataclass(frozen=True, slots=True)
class Table:
    """The rows of a table as they were written."""

    rows: tuple[str, ...]
    aligns: tuple[Align, ...]
    has_header: bool
    """Whether the first row is one; False for what goes on after a very long piece."""
    margin: Spans

    def lines(self, width: int) -> list[Line]:
        """Its lines in a width."""
        count = len(self.aligns)
        rows = [(cells_of(row) + [""] * count)[:count] for row in self.rows]
        drawn = [
            [_cell(text, "strong" if self.has_header and not number else "") for text in row]
            for number, row in enumerate(rows)
        ]
        natural = [max(1, *(cells(row[i]) for row in drawn)) for i in range(count)]
        widths = _fitted(natural, width - cells(self.margin))
        if widths is None:
            return self._listed(drawn)
        lines: list[Line] = []
        for number, row in enumerate(drawn):
            lines += self._row(row, widths)
            if self.has_header and not number:
                dashes = (" " * _GAP).join("-" * column for column in widths)
                lines.append(Line((), first=(*self.margin, (dashes, "rule")), before=""))
        return lines

    def _row(self, row: list[Spans], widths: list[int]) -> list[Line]:
        """A row of cells beside each other, as high as its longest one."""
        wrapped = []
        for spans, column in zip(row, widths, strict=True):
            cell = Line(spans)
            wrapped.append([cell.between(start, end) for start, end in cell.rows(column)])
        lines = []
        for number in range(max(map(len, wrapped))):
            line: list[Span] = []
            room = 0
            for column, align, pieces in zip(widths, self.aligns, wrapped, strict=True):
                piece = pieces[number] if number < len(pieces) else ()
                free = column - cells(piece)
                left = {"left": 0, "center": free // 2, "right": free}[align]
                if piece:
                    line += [(" " * (room + left), ""), *piece] if room + left else piece
                    room = free - left + _GAP
                else:
                    room += column + _GAP
            lines.append(Line(tuple(line), first=self.margin, wrap="any"))
        return lines

    def _listed(self, rows: list[list[Spans]]) -> list[Line]:
        """Cells below each other: the header's, then each row's with the header's in front."""
        names = rows[0] if self.has_header else [()] * len(self.aligns)
        lines = []
        for row in rows[1:] if self.has_header and len(rows) > 1 else rows:
            for name, cell in zip(names, row, strict=True):
                spans = (*name, (": ", ""), *cell) if name and row is not names else cell
                lines.append(Line(spans, first=self.margin, rest=(*self.margin, ("  ", ""))))
        return lines


@lru_cache(1024)
def _cell(text: str, style: str) -> Spans:
    return styled(text, style)[0]


def _fitted(natural: list[int], width: int) -> list[int] | None:
    """Columns that fit: the widest give way first; None if they would be too narrow to read."""
    room = width - _GAP * (len(natural) - 1)
    most = max(natural)
    if sum(natural) > room:
        most = next((m for m in range(most, 0, -1) if sum(min(n, m) for n in natural) <= room), 0)
        if most < _NARROWEST:
            return None
    return [min(column, most) for column in natural]
