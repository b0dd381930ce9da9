"""Three ways to watch one run: a live panel, plain lines, JSON lines."""

import sys
import time
from collections.abc import Callable
from contextlib import suppress
from typing import IO, Protocol

from rich.console import RenderableType
from rich.live import Live

from tissu_cli.render import numbers
from tissu_cli.render.charset import use_stand_ins
from tissu_cli.render.console import narration, print_json
from tissu_cli.render.evaluate.suites import short_score
from tissu_cli.render.train.panel import TrainPanel
from tissu_core.events.records import to_record
from tissu_core.events.shared import FileSkipped, Noticed, StageAdvanced
from tissu_core.events.suites import SuiteScored
from tissu_core.events.training import (
    CheckpointSaved,
    EvalFinished,
    Planned,
    Probed,
    ProfileFinished,
    RequestTaken,
    RunFinished,
    RunResumed,
    RunStarted,
    SampleGenerated,
    StepFinished,
    TrainEvent,
)
from tissu_core.sanitize import sanitize_line

_REDRAW_SECONDS = 0.2
_LINES_A_RUN = 50
_LONGEST_SILENCE_SECONDS = 30.0


class TrainView(Protocol):
    """Draws events as they come."""

    def show(self, event: TrainEvent) -> None:
        """Draw an event."""

    def close(self) -> None:
        """Leave the terminal as a person can go on with it."""


class PanelView:
    """Redraws a panel in place; its last frame stays in the scrollback."""

    def __init__(self) -> None:
        self.panel = TrainPanel()
        use_stand_ins(sys.stderr, "tissu.celled")
        self._console = narration()
        self._drawn = 0.0
        self._live = Live(
            self._frame(), console=self._console, auto_refresh=False, vertical_overflow="crop"
        )
        self._live.start(refresh=True)

    def show(self, event: TrainEvent) -> None:
        """Take the event; redraw at most five times a second, in under 2 % of the time."""
        self.panel.take(event)
        now = time.monotonic()
        if now - self._drawn >= _REDRAW_SECONDS:
            self._drawn = now
            self._live.update(self._frame(), refresh=True)

    def close(self) -> None:
        """Leave the last frame."""
        with suppress(OSError):
            self._live.update(self._frame(), refresh=True)
            self._live.stop()
        use_stand_ins(sys.stderr)

    def _frame(self) -> RenderableType:
        return self.panel.render(min(self._console.width, 140), self._console.height)


class LogView:
    """Plain lines without an escape byte: every N steps, and at least every 30 s."""

    def __init__(
        self,
        file: IO[str],
        clock: Callable[[], float] = time.monotonic,
        lines_a_run: int = _LINES_A_RUN,
    ) -> None:
        self._file, self._clock, self._lines_a_run = file, clock, lines_a_run
        self._steps = 0
        self._of = ""
        self._last_step = 0
        self._last_line = clock()
        self._skipped: dict[str, int] = {}
        self._stage = ""

    def show(self, event: TrainEvent) -> None:
        """Print what is worth a line."""
        line = self._line(event)
        if line is not None:
            self.say(line)

    def close(self) -> None:
        """Nothing to restore."""

    def say(self, line: str) -> None:
        """Print a line."""
        self._last_line = self._clock()
        self._file.write(sanitize_line(line) + "\n")
        self._file.flush()

    def _line(self, event: TrainEvent) -> str | None:
        match event:
            case RunStarted():
                return f"run {event.name} in {event.directory}"
            case RunResumed():
                self._last_step = event.from_step
                return f"run {event.name} goes on after step {event.from_step}"
            case StageAdvanced():
                return self._stage_line(event)
            case FileSkipped():
                self._skipped[event.reason] = self._skipped.get(event.reason, 0) + 1
                return None
            case Planned():
                self._steps = event.steps
                self._of = "" if event.is_timed else f"/{event.steps}"
                self._print_skipped()
                self.say(plan_line(event))
                return f"because: {'; '.join(event.reasons)}" if event.reasons else None
            case StepFinished():
                return self._step_line(event)
            case EvalFinished():
                best = ", best so far" if event.is_best else ""
                return (
                    f"step {event.step}: validation {event.bits_per_byte:.4f} bits per byte, "
                    f"perplexity {event.perplexity:.2f}{best}"
                )
            case SuiteScored():
                return f"step {event.step}: {short_score(event)}"
            case CheckpointSaved():
                return f"step {event.step}: saved {numbers.size(event.num_bytes)} to {event.path}"
            case SampleGenerated():
                return f"step {event.step}: sample {event.prompt + event.text!r}"
            case RequestTaken():
                return f"step {event.step}: {event.request}, as was asked"
            case ProfileFinished():
                return f"step {event.step}: profiled, the trace is {event.trace}"
            case Noticed():
                return f"{event.level}: {event.text}"
            case RunFinished() | Probed():  # said at the end
                return None

    def _stage_line(self, event: StageAdvanced) -> str | None:
        is_new = event.stage != self._stage
        self._stage = event.stage
        if not (self._is_silent() or (is_new and event.stage != "scoring")):
            return None
        return event.stage + (f": {event.done:,} {event.unit}" if event.done else "")

    def _step_line(self, event: StepFinished) -> str | None:
        every = max(1, self._steps // self._lines_a_run)
        is_due = event.step // every > self._last_step // every
        if not (is_due or self._is_silent() or event.progress >= 1):
            return None
        self._last_step = event.step
        mfu = f" mfu {event.mfu:.1%}" if event.mfu is not None else ""
        return (
            f"step {event.step}{self._of} ({event.progress:.0%}) loss {event.loss:.4f} "
            f"rate {event.learning_rate:.3e} norm {event.grad_norm:.3f} "
            f"{event.tokens_per_second:.0f} tok/s{mfu} {numbers.duration(event.elapsed_seconds)}"
        )

    def _is_silent(self) -> bool:
        return self._clock() - self._last_line >= _LONGEST_SILENCE_SECONDS

    def _print_skipped(self) -> None:
        for reason, number in sorted(self._skipped.items()):
            self.say(f"skipped {number}: {reason}")


class JsonView:
    """Every event as a line of JSON on stdout."""

    def show(self, event: TrainEvent) -> None:
        """Print the event."""
        print_json({"time": round(time.time(), 3), **to_record(event)})

    def close(self) -> None:
        """Nothing to restore."""


class Silence:
    """Draws nothing, where nobody can look."""

    def show(self, event: TrainEvent) -> None:
        """Nothing."""

    def close(self) -> None:
        """Nothing."""


def plan_line(event: Planned) -> str:
    """What was chosen, in one line."""
    steps = f"about {event.steps:,}" if event.is_timed else f"{event.steps:,}"
    parameters = numbers.part_of(event.learning_parameters, event.num_parameters)
    learned = event.learned_tokens
    share = "" if learned is None else f" ({numbers.count(learned)} of them learned)"
    return (
        f"{event.model}, {parameters} parameters, vocabulary "
        f"{event.vocab_size}, context {event.context_tokens}; "
        f"{numbers.count(event.train_tokens)} training tokens{share} seen {event.passes:.2g} "
        f"times in {steps} steps of {event.batch_tokens:,} tokens, about {event.minutes:.1f} min; "
        f"{event.optimizer} at {event.learning_rate:.3g}, {event.precision} on {event.device}"
    )
