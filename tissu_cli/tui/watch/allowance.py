"""How often the screen may be drawn, so that looking at a run does not slow it down."""

import time
from collections.abc import Callable

_SHARE = 0.004
"""Of a core for all of this process, while reports come. A frame of 120x36 takes 2 to 4 ms, and
what Textual does when nothing happens about 2 ms a second."""
_MOST_SECONDS = 0.03
"""What is not used is kept for ten frames or so."""
_LONGEST_SECONDS = 5.0
"""On a slow machine a frame comes no later than this."""
_CLOSE_SECONDS = 5.0
"""So long after a key, and at the beginning, a person looks closely."""


class Allowance:
    """Processor time that grows with the clock and shrinks by what the process uses."""

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        used: Callable[[], float] = time.process_time,
    ) -> None:
        self._clock, self._used = clock, used
        self._left = _MOST_SECONDS
        self._before = clock(), used()
        self._drawn, self._free_until = clock(), clock()

    @property
    def is_enough(self) -> bool:
        """Whether a frame may be drawn now."""
        (before, used_before), now, used = self._before, self._clock(), self._used()
        if now < self._free_until:
            self.forgive()
            return True
        grown = self._left + _SHARE * (now - before) - (used - used_before)
        self._left, self._before = min(_MOST_SECONDS, grown), (now, used)
        return self._left > 0 or now - self._drawn >= _LONGEST_SECONDS

    def spend(self) -> None:
        """A frame is drawn."""
        self._drawn = self._clock()

    def favour(self) -> None:
        """A person did something, and is shown at once what comes of it."""
        self._free_until = self._clock() + _CLOSE_SECONDS

    def forgive(self) -> None:
        """What was used so far was no frame: a long log was read."""
        self._left, self._before = _MOST_SECONDS, (self._clock(), self._used())
