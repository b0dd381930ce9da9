"""A text that is drawn as it was written, as a page."""

from tissu_cli.render.markdown.code import Code
from tissu_cli.render.markdown.lines import Line, clean

_MAX_CHARACTERS = 2000
"""Of an open line; a longer one is finished in pieces."""


class PlainText:
    """Takes a text as it comes; ``items`` only grows."""

    def __init__(self) -> None:
        self.items: list[Line] = []
        self.codes: list[Code] = []  # it has none
        self.closed_codes = 0
        self._open = ""
        self._is_inside = False

    def feed(self, text: str) -> None:
        """Take more text."""
        *lines, self._open = (self._open + text).split("\n")
        for line in lines:
            self._add(line.removesuffix("\r"))
            self._is_inside = False
        whole = len(self._open) // _MAX_CHARACTERS * _MAX_CHARACTERS
        if whole:
            self._add(self._open[:whole])
            self._open = self._open[whole:]

    def finish(self) -> None:
        """Take what is open as finished: no more text comes."""
        if self._open:
            self._add(self._open)
        self._open = ""

    def tail(self) -> list[Line]:
        """What is open."""
        return [_line(self._open, joins=self._is_inside)] if self._open else []

    def _add(self, line: str) -> None:
        for start in range(0, max(1, len(line)), _MAX_CHARACTERS):
            piece = line[start : start + _MAX_CHARACTERS]
            self.items.append(_line(piece, joins=self._is_inside))
            self._is_inside = True


def _line(text: str, *, joins: bool) -> Line:
    return Line(((clean(text), ""),), wrap="space", joins=joins)
