"""What costs most to draw, as it was drawn last."""

import time
from collections.abc import Callable
from operator import is_
from typing import Any, TypeVar

from textual.content import Content

T = TypeVar("T")
_SHARE = 0.001
"""Of a core, that charts may take while a run reports."""
_LEAST_SECONDS = 1.0


class Bodies:
    """Charts and texts. The figures above them are always those of the last report.

    They are drawn anew when something else than one more report is to be seen, and otherwise so
    seldom that they cost no more than ``_SHARE``.
    """

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock = clock
        self._rows: dict[str, list[Content]] = {}
        self._kept: dict[object, tuple[tuple[object, ...], Any]] = {}
        self._seen: object = None
        self._drawn = self._cost = 0.0
        self._is_behind = False

    @property
    def are_due(self) -> bool:
        """Whether there was a report since, and time enough."""
        least = max(_LEAST_SECONDS, self._cost / _SHARE)
        return self._is_behind and self._clock() - self._drawn >= least

    def begin(self, seen: object, *, is_new: bool) -> None:
        """A picture begins, in which ``seen`` decides over all but the newest reports."""
        self._is_behind = self._is_behind or is_new
        if seen != self._seen or self.are_due:
            self._rows, self._seen = {}, seen
            self._drawn, self._cost, self._is_behind = self._clock(), 0.0, False

    def rows(self, name: str, draw: Callable[[], list[Content]]) -> list[Content]:
        """The body of that name."""
        if name not in self._rows:
            began = self._clock()
            self._rows[name] = draw()
            self._cost += self._clock() - began
        return self._rows[name]

    def kept(self, name: object, of: tuple[object, ...], draw: Callable[[], T]) -> T:
        """What was drawn of just these objects, by that name."""
        known = self._kept.get(name)
        if known is not None and all(map(is_, known[0], of)):
            return known[1]  # type: ignore[no-any-return]
        drawn = draw()
        self._kept[name] = of, drawn
        return drawn
