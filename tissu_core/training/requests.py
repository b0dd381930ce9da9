"""What a person asks of a run while it trains, done between two steps."""

import time
from collections.abc import Callable, Iterator, Sequence

from tissu_core.events.shared import Noticed
from tissu_core.events.training import Request, RequestTaken
from tissu_core.parallel.ranks import Ranks
from tissu_core.training.loop_parts import Asked, LoopEvent

PAUSE_SECONDS = 0.2
"""How often a paused run looks whether it is asked for something."""


class Requests:
    """Has done what is asked, and writes down that it was: the run can be told from its log."""

    def __init__(
        self,
        asked: Asked,
        do: Callable[[Request], Iterator[LoopEvent]],
        leave_out: Callable[[float], None],
        ranks: Ranks,
    ) -> None:
        self._asked, self._do, self._leave_out, self._ranks = asked, do, leave_out, ranks
        self.is_ended = False
        """Whether somebody asked for the run's end."""
        self.is_saved = True
        """Whether it is to be saved then."""

    def answer(self, step: int, should_stop: Callable[[], bool]) -> Iterator[LoopEvent]:
        """Do all that was asked; a pause lasts until it is ended, or the run is."""
        is_paused = False
        while True:
            for asked in self._told():
                if isinstance(asked, Noticed):
                    yield asked
                    continue
                yield RequestTaken(step=step, request=asked)
                is_paused = asked == "pause" or (is_paused and asked != "resume")
                if asked in ("stop", "stop now"):
                    self.is_ended, self.is_saved = True, asked == "stop"
                else:
                    yield from self._do(asked)
            if not is_paused or self.is_ended or should_stop():
                return
            began = time.perf_counter()
            time.sleep(PAUSE_SECONDS)
            self._leave_out(began)

    def _told(self) -> Sequence[Request | Noticed]:
        """What the main rank was asked, on every rank."""
        asked = self._asked() if self._ranks.is_main else ()
        (is_any,) = self._ranks.largest(bool(asked))
        return self._ranks.from_main(lambda: asked) if is_any else ()
