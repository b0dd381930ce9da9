"""How far a run is: in steps, or in time where that ends it."""

from collections.abc import Callable

from tissu_core.parallel.ranks import Ranks

_LARGEST_ASIDE = 0.2


class Budget:
    """The steps or seconds of a run, and whether it is asked to stop; one answer on all ranks."""

    def __init__(
        self, steps: int, seconds: float, clock: Callable[[], float], ranks: Ranks
    ) -> None:
        """With ``seconds`` of 0 the ``steps`` end the run."""
        self._steps, self._seconds, self._clock, self._ranks = steps, seconds, clock, ranks
        self._aside = self._share = 0.0

    @property
    def is_timed(self) -> bool:
        """Whether time ends the run."""
        return bool(self._seconds)

    def set_aside(self, seconds: float) -> None:
        """Keep so much of the time, if no more was kept before, for what follows the last step."""
        self._aside = max(self._aside, min(seconds, _LARGEST_ASIDE * self._seconds))

    def look(self, should_stop: Callable[[], bool] = lambda: False) -> bool:
        """Whether any rank was asked to stop; and what time it is, where time ends the run."""
        is_asked = should_stop()
        share = self._clock() / (self._seconds - self._aside) if self.is_timed else 0.0
        stopped, self._share = self._ranks.largest(is_asked, share)
        return bool(stopped)

    def progress(self, step: int) -> float:
        """The share that is spent, as of the last look."""
        return min(1.0, self._share) if self.is_timed else step / self._steps
