"""A reply token by token, as a page: where the tokens end, and how sure the model was of each."""

from bisect import bisect_left
from collections.abc import Iterable

from rich.cells import cell_len

from tissu_cli.render.markdown.layout import Layout, Row
from tissu_cli.render.markdown.lines import Line, Span, clean
from tissu_core.events.replies import TokenGenerated

NEWLINE = "\u23ce"
"""Stands for a newline, so that the token which is one can be seen."""
STEPS = 24
"""Of the tint; enough that no border between two is seen."""
_LONGEST_OPEN = 64
"""Spans of an open line: it is laid out again for each new token."""
_STRONGEST_NATS = 6.0
"""The surprise at which the tint is strongest: a probability of 0.25 %."""


class TokenPage:
    """Takes tokens as they come; the style of a span is the number of its token.

    A token whose text is "" began a character that a later one completes: it belongs to that one.
    """

    def __init__(self) -> None:
        self.items: list[Line] = []
        self.count = 0
        self._drawn: list[int] = []  # the tokens that have a text
        self._steps: list[int] = []  # and the tint of each
        self._surprise = 0.0
        self._open: list[Span] = []
        self._joins = False

    def add(self, tokens: Iterable[TokenGenerated]) -> None:
        """Take more tokens."""
        for token in tokens:
            self._surprise -= token.logprob
            if token.text:
                self._draw(token.text)
                self._drawn.append(self.count)
                self._steps.append(_step(self._surprise))
                self._surprise = 0.0
            self.count += 1

    def tail(self) -> list[Line]:
        """The open line."""
        return [self._line()] if self._open else []

    def owner(self, token: int) -> int:
        """The drawn token that a token belongs to."""
        place = bisect_left(self._drawn, token)
        return self._drawn[place] if place < len(self._drawn) else self.count

    def step(self, token: int) -> int:
        """How surprising a drawn token was, from 0 to ``STEPS``."""
        return self._steps[bisect_left(self._drawn, token)]

    def is_odd(self, token: int) -> bool:
        """Whether it is an odd one of those that are drawn: neighbours differ."""
        return bool(bisect_left(self._drawn, token) % 2)

    def _draw(self, text: str) -> None:
        *lines, rest = text.replace("\r\n", "\n").split("\n")
        for line in lines:
            self._open.append((clean(line) + NEWLINE, self.count))
            self._end_line(joins=False)
        if rest:
            self._open.append((clean(rest), self.count))
        if len(self._open) >= _LONGEST_OPEN:
            self._end_line(joins=True)

    def _end_line(self, *, joins: bool) -> None:
        self.items.append(self._line())
        self._open = []
        self._joins = joins

    def _line(self) -> Line:
        return Line(tuple(self._open), wrap="space", joins=self._joins)


def _step(surprise: float) -> int:
    """The tint of a surprise in nats; certain is 0, and so is what is no number."""
    if not surprise > 0:
        return 0
    strength: float = min(1.0, surprise / _STRONGEST_NATS) ** 0.8
    return round(STEPS * strength)


def token_at(layout: Layout, x: int, y: int) -> int | None:
    """The token that is drawn in a cell."""
    if not 0 <= y < len(layout.rows) or x < 0:
        return None
    for text, token in layout.rows[y].spans:
        x -= cell_len(text)
        if x < 0:
            return int(token)
    return None


def row_of(layout: Layout, token: int) -> int:
    """The row in which a drawn token begins."""
    row: int = bisect_left(layout.rows, token, key=_last_token)
    return max(0, min(row, len(layout.rows) - 1))


def _last_token(row: Row) -> int:
    return int(row.spans[-1][1])
