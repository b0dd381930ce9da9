"""Charts of braille dots: lines over one another, each in its colour, and marks on top."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

from textual.content import Content

from tissu_cli.render import numbers
from tissu_cli.render.braille import line_chart

AXIS = 8
"""Columns of the numbers on the left."""
_EMPTY = "\u2800"
_BASE = 0x2800

Cell = tuple[str, str]
Range = tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """Points and how they look."""

    xs: Sequence[float]
    ys: Sequence[float]
    style: str
    is_joined: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """A character at a place."""

    x: float
    y: float
    text: str
    style: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """What is drawn between two ranges."""

    lines: Sequence[Line]
    x_range: Range
    y_range: Range
    marks: Sequence[Mark] = ()

    def rows(self, width: int, height: int) -> list[Content]:
        """``height`` rows of ``width`` columns, the ends of the y range on the left."""
        inner = max(1, width - AXIS)
        cells = self._cells(inner, height)
        low, high = self.y_range
        labels = {0: _label(high), height - 1: _label(low)}
        return [
            Content.assemble((labels.get(row, "").rjust(AXIS - 1) + " ", "dim"), *_runs(line))
            for row, line in enumerate(cells)
        ]

    def _cells(self, width: int, height: int) -> list[list[Cell]]:
        cells: list[list[Cell]] = [[(_EMPTY, "")] * width for _ in range(height)]
        for line in self.lines:
            drawn = line_chart(
                line.xs,
                line.ys,
                width=width,
                height=height,
                x_range=self.x_range,
                y_range=self.y_range,
                is_joined=line.is_joined,
            )
            for row, texts in enumerate(drawn):
                for column, text in enumerate(texts):
                    if text != _EMPTY:
                        under = ord(cells[row][column][0]) - _BASE
                        both = chr(_BASE + (under | (ord(text) - _BASE)))
                        cells[row][column] = both, line.style
        for mark in self.marks:
            column = _place(mark.x, self.x_range, width)
            cells[height - 1 - _place(mark.y, self.y_range, height)][column] = mark.text, mark.style
        return cells


def axis(x_range: Range, width: int, marks: Iterable[Mark] = ()) -> Content:
    """The row below a chart: where it begins and ends, and what was asked where."""
    inner = max(1, width - AXIS)
    first, last = f"{x_range[0]:,.0f}", f"{x_range[1]:,.0f}"
    cells: list[Cell] = [(char, "dim") for char in first.ljust(inner)[:inner]]
    if len(first) + len(last) + 1 < inner:
        cells[-len(last) :] = [(char, "dim") for char in last]
    for mark in marks:
        cells[_place(mark.x, x_range, inner)] = mark.text, mark.style
    return Content.assemble(" " * AXIS, *_runs(cells))


def around(values: Iterable[float], *, is_from_zero: bool = False) -> Range:
    """A range that holds all values that are numbers."""
    known = [value for value in values if math.isfinite(value)]
    low, high = min(known, default=0.0), max(known, default=1.0)
    low = min(0.0, low) if is_from_zero else low
    return (low, high) if high > low else (low - 0.5, high + 0.5)


def _runs(cells: Iterable[Cell]) -> list[Cell]:
    """Cells of one style as one text."""
    runs = groupby(cells, key=lambda cell: cell[1])
    return [("".join(text for text, _ in run), style) for style, run in runs]


def _label(value: float) -> str:
    return numbers.count(value) if abs(value) >= 1000 else f"{value:.3g}"


def _place(value: float, bounds: Range, cells: int) -> int:
    low, high = bounds
    share = (value - low) / (high - low) if high > low else 0.5
    return min(cells - 1, max(0, int(share * cells)))
