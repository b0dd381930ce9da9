"""One line of progress on stderr, gone when the work is done."""

import sys
import time
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import TypeVar

from tissu_cli.render import numbers
from tissu_cli.settings import is_live
from tissu_core.events.replies import GenerateEvent, TokenGenerated
from tissu_core.events.shared import FileSkipped, Noticed, StageAdvanced
from tissu_core.sanitize import sanitize_line

_REDRAW_SECONDS = 0.1
_FORESEEN_AFTER_SECONDS = 1.0

Result = TypeVar("Result")


def narrated(
    events: Iterable[Result | StageAdvanced | FileSkipped | Noticed], status: "StatusLine"
) -> Iterator[Result]:
    """Tell what goes on; give what came of it."""
    from tissu_cli.render.console import say_notice  # noqa: PLC0415

    skipped: list[FileSkipped] = []
    for event in events:
        match event:
            case StageAdvanced():
                status.show(event)
            case FileSkipped():
                skipped.append(event)
            case Noticed():
                status.clear()
                say_notice(event)
            case _:
                status.clear()
                _tell_skipped(skipped)
                yield event
    _tell_skipped(skipped)


def _tell_skipped(skipped: list[FileSkipped]) -> None:
    """Say which files were not read, and forget them; mostly there are none, and no import."""
    if not skipped:
        return
    from tissu_cli.render.train.farewell import say_skipped  # noqa: PLC0415  90 ms

    say_skipped(skipped)
    skipped.clear()


def counted(
    events: Iterable[GenerateEvent], status: "StatusLine", max_tokens: int
) -> Iterator[GenerateEvent]:
    """Tell how many tokens a reply has that nobody sees coming."""
    done = 0
    for event in events:
        if isinstance(event, TokenGenerated):
            done += 1
            status.show(
                StageAdvanced(stage="generating", done=done, total=max_tokens, unit="tokens")
            )
        yield event


class StatusLine:
    """Shows how far a stage is and when it will be done, on a live terminal only."""

    def __init__(self) -> None:
        self._is_live = is_live()
        self._drawn = 0.0
        self._stage, self._began, self._first = "", 0.0, 0

    def __enter__(self) -> "StatusLine":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.clear()

    def show(self, event: StageAdvanced) -> None:
        """Redraw at most ten times a second."""
        now = time.monotonic()
        if event.stage != self._stage:
            self._stage, self._began, self._first = event.stage, now, event.done
        if not self._is_live or now - self._drawn < _REDRAW_SECONDS:
            return
        self._drawn = now
        amount = numbers.size if event.unit == "bytes" else numbers.count
        of = f" of {amount(event.total)}" if event.total else ""
        unit = "" if event.unit == "bytes" else f" {event.unit}"
        line = f"{event.stage}: {amount(event.done)}{of}{unit}{self._left(event, now)}"
        sys.stderr.write(f"\r\x1b[K{sanitize_line(line)}")
        sys.stderr.flush()

    def _left(self, event: StageAdvanced, now: float) -> str:
        seconds, done = now - self._began, event.done - self._first
        if not event.total or done <= 0 or seconds < _FORESEEN_AFTER_SECONDS:
            return ""
        left = max(0, event.total - event.done) * seconds / done
        return f", about {numbers.duration(left)} left"

    def clear(self) -> None:
        """Take the line away."""
        if self._drawn:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
            self._drawn = 0.0
