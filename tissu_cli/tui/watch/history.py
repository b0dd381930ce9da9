"""What is known of one run from its events."""

import math
from collections import deque
from dataclasses import dataclass, field
from typing import Literal

from tissu_cli.render import numbers
from tissu_cli.render.evaluate.suites import short_score
from tissu_cli.render.train.smoothing import Smoothing
from tissu_cli.tui.watch.series import Series
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
from tissu_core.runs.watch import Presence, Settings

State = Literal["running", "paused", "finished", "stopped", "broken off", "gone"]
_MOST_WORDS = 200
_MOST_SCORES = 2000
_RECENT = 0.85


@dataclass(frozen=True, slots=True)
class Word:
    """Something that happened, as the log shows it."""

    when: float
    text: str
    is_warning: bool = False


@dataclass(slots=True)
class RunHistory:
    """Lines, scores and words of a run."""

    name: str
    presence: Presence = "rests"
    unread: tuple[int, int] = (0, 0)
    """Of a long log that is being read: bytes that were, and all."""
    settings: Settings = field(default_factory=Settings)
    planned: Planned | None = None
    stage: StageAdvanced | None = None
    last: StepFinished | None = None
    loss: Series = field(default_factory=Series)
    smooth: Series = field(default_factory=Series)
    rate: Series = field(default_factory=Series)
    """By progress; the others are by step."""
    norm: Series = field(default_factory=Series)
    speed: Series = field(default_factory=Series)
    elapsed: Series = field(default_factory=Series)
    progress: Series = field(default_factory=Series)
    scores: list[EvalFinished] = field(default_factory=list)
    marks: list[RequestTaken] = field(default_factory=list)
    samples: deque[SampleGenerated] = field(default_factory=lambda: deque(maxlen=2))
    saved: tuple[float, CheckpointSaved] | None = None
    words: deque[Word] = field(default_factory=lambda: deque(maxlen=_MOST_WORDS))
    end: RunFinished | None = None
    is_paused: bool = False
    _smoothing: Smoothing = field(default_factory=Smoothing)

    def take(self, when: float, event: TrainEvent) -> None:
        """Learn from an event."""
        match event:
            case RunStarted():
                self._say(when, f"run {event.name} began")
            case RunResumed():
                self._go_back(event.from_step)
                self._say(when, f"goes on after step {event.from_step:,}")
            case StageAdvanced():
                self.stage = event
            case Planned():
                self.planned = event
            case StepFinished():
                self._take_step(event)
            case EvalFinished():
                self.stage = None
                self.scores.append(event)
                del self.scores[:-_MOST_SCORES]
                better = ", the best" if event.is_best else ""
                self._say(when, f"step {event.step:,}: {score(event.bits_per_byte)}{better}")
            case SuiteScored():
                self.stage = None
                self._say(when, f"step {event.step:,}: {short_score(event)}")
            case CheckpointSaved():
                self.saved = when, event
                self._say(when, f"step {event.step:,} saved, {numbers.size(event.num_bytes)}")
            case SampleGenerated():
                self.samples.append(event)
            case RequestTaken():
                self.marks.append(event)
                del self.marks[:-_MOST_SCORES]
                self.is_paused = event.request == "pause" or (
                    self.is_paused and event.request != "resume"
                )
                self._say(when, f"step {event.step:,}: {event.request}, as was asked")
            case Noticed():
                self._say(when, event.text, is_warning=event.level == "warning")
            case RunFinished():
                self.end, self.stage, self.is_paused = event, None, False
                self._say(when, f"the run {self.state} after step {event.step:,}")
            case FileSkipped() | Probed() | ProfileFinished():
                pass

    def _take_step(self, event: StepFinished) -> None:
        self.stage, self.last, step = None, event, event.step
        self.loss.add(step, event.loss)
        self.smooth.add(step, self._smoothing.after(self.smooth.last, event.loss))
        self.rate.add(event.progress, event.learning_rate)
        self.norm.add(step, event.grad_norm)
        self.speed.add(step, event.tokens_per_second)
        self.elapsed.add(step, event.elapsed_seconds)
        self.progress.add(step, event.progress)

    def _go_back(self, step: int) -> None:
        """Drop what a resumed or rolled back run does again."""
        for series in self._by_step:
            series.cut(step)
        self.rate.cut(self.progress.last if self.progress.ys else -1.0)
        self.scores = [old for old in self.scores if old.step <= step]
        self.marks = [old for old in self.marks if old.step <= step]
        self.end, self.is_paused = None, False

    @property
    def _by_step(self) -> tuple[Series, ...]:
        return self.loss, self.smooth, self.norm, self.speed, self.elapsed, self.progress

    def _say(self, when: float, text: str, *, is_warning: bool = False) -> None:
        self.words.append(Word(when, text, is_warning))

    @property
    def state(self) -> State:
        """What the run does, in a word."""
        if self.presence == "gone":
            return "gone"
        if self.end is not None:
            return "stopped" if self.end.stopped_early else "finished"
        if self.presence == "rests":
            return "broken off"
        return "paused" if self.is_paused else "running"

    @property
    def is_over(self) -> bool:
        """Whether there is nobody any more to be asked for something."""
        return self.state not in ("running", "paused")

    @property
    def best(self) -> EvalFinished | None:
        """The best score of those that count."""
        known = [old for old in self.scores if not (old.is_asked or math.isnan(old.bits_per_byte))]
        return min(known, key=lambda old: old.bits_per_byte, default=None)

    def seconds_left(self) -> tuple[float, float] | None:
        """From and to how long it will take on: by all of the run, and by the newest part."""
        elapsed, progress = self.elapsed.ys, self.progress.ys
        if self.end or len(progress) < 2 or not 0 < progress[-1] < 1:
            return None
        found = []
        for begin in (0, min(len(progress) - 2, int(len(progress) * _RECENT))):
            moved = progress[-1] - progress[begin]
            if moved > 0:
                took = elapsed[-1] - elapsed[begin]
                found.append(max(0.0, took / moved * (1 - progress[-1])))
        return (min(found), max(found)) if found else None


def score(bits_per_byte: float) -> str:
    """A score in words."""
    is_known = math.isfinite(bits_per_byte)
    return f"{bits_per_byte:.4f} bits per byte" if is_known else "a score that is no number"
