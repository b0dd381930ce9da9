"""The training panel: state gathered from events, drawn to fit 80x24 and larger."""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from rich.box import ROUNDED
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from tissu_cli.render import numbers
from tissu_cli.render.braille import bars, line_chart
from tissu_cli.render.evaluate.suites import short_score
from tissu_cli.render.train.smoothing import Smoothing
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
from tissu_core.sanitize import sanitize, sanitize_line

_LABEL = "dim"
_OTHER_ROWS = 14  # everything but the chart
_AXIS = 7
_FEWEST_COLUMNS, _FEWEST_ROWS = 76, 17  # below, figures wrap or no chart is left
_MOST_REPORTS = 2000  # more than a 200-column chart has dots for


@dataclass(slots=True)
class TrainPanel:
    """What is known of a run, and how it looks now."""

    clock: Callable[[], float] = time.monotonic
    title: str = "tissu train"
    stage: StageAdvanced | None = None
    planned: Planned | None = None
    steps: list[StepFinished] = field(default_factory=list)
    smoothed: list[float] = field(default_factory=list)
    evals: list[EvalFinished] = field(default_factory=list)
    suites: dict[str, SuiteScored] = field(default_factory=dict)
    saved: tuple[float, CheckpointSaved] | None = None
    sample: SampleGenerated | None = None
    notice: Noticed | None = None
    is_paused: bool = False
    skips: dict[str, int] = field(default_factory=dict)
    finished: RunFinished | None = None
    _smoothing: Smoothing = field(default_factory=Smoothing)

    def take(self, event: TrainEvent) -> None:
        """Learn from an event."""
        match event:
            case RunStarted() | RunResumed():
                self.title = f"tissu train · {sanitize_line(event.name)}"
                if isinstance(event, RunResumed):
                    self._go_back(event.from_step)
            case StageAdvanced():
                self.stage = event
            case FileSkipped():
                self.skips[event.reason] = self.skips.get(event.reason, 0) + 1
            case Planned():
                self.planned, self.stage = event, None
            case StepFinished():
                self.stage = None
                self.steps.append(event)
                before = self.smoothed[-1] if self.smoothed else math.nan
                self.smoothed.append(self._smoothing.after(before, event.loss))
                self._thin()
            case EvalFinished():
                self.evals.append(event)
                self.stage = None
            case SuiteScored():
                self.suites[event.suite] = event
                self.stage = None
            case CheckpointSaved():
                self.saved = (self.clock(), event)
            case SampleGenerated():
                self.sample = event
            case RequestTaken():
                self.is_paused = event.request == "pause" or (
                    self.is_paused and event.request != "resume"
                )
            case Noticed():
                self.notice = event
            case RunFinished():
                self.finished = event
            case Probed() | ProfileFinished():
                pass  # said at the end

    def _go_back(self, step: int) -> None:
        """Drop the steps that a resumed or rolled back run takes again."""
        kept = sum(old.step <= step for old in self.steps)
        del self.steps[kept:], self.smoothed[kept:]

    def _thin(self) -> None:
        """Keep a frame's cost flat: of a long run, every other report; the ends stay."""
        if len(self.steps) > _MOST_REPORTS:
            self.steps = [*self.steps[:-1:2], self.steps[-1]]
            self.smoothed = [*self.smoothed[:-1:2], self.smoothed[-1]]

    def render(self, width: int, height: int) -> RenderableType:
        """The panel for a terminal of this size; one too small for it gets a few lines."""
        if width < _FEWEST_COLUMNS or height < _FEWEST_ROWS:
            return Group(*(_line(text, width) for text in self._short(max(1, height - 1))))
        inner = width - 4
        rows: list[RenderableType] = [*self._head(inner), self._progress(inner)]
        if self.steps:
            room = height - _OTHER_ROWS - bool(self.suites)
            rows += [loss_chart(self.steps, self.smoothed, inner, min(16, max(3, room)))]
            rows += [self._figures(inner)]
        rows += self._foot(inner)
        title = f"{self.title} · paused" if self.is_paused else self.title
        return Panel(Group(*rows), title=Text(title), title_align="left", box=ROUNDED, width=width)

    def _head(self, width: int) -> list[RenderableType]:
        if self.planned is None:
            skipped = sum(self.skips.values())
            return [Text(f"{skipped} files and folders skipped" if skipped else "", _LABEL)]
        p = self.planned
        parameters = numbers.part_of(p.learning_parameters, p.num_parameters)
        model = (
            f"{p.model} · {parameters} parameters · vocabulary {p.vocab_size:,} · context "
            f"{p.context_tokens}"
        )
        tokens = numbers.part_of(p.learned_tokens, p.train_tokens)
        data = (
            f"{tokens} tokens, {p.passes:.2g}x · "
            f"{numbers.count(p.batch_tokens)} a step · {p.optimizer} {p.learning_rate:.3g} · "
            f"{p.precision}, {p.device}"
        )
        why = [_line(f"because {reason}", width, _LABEL) for reason in p.reasons]
        return [_line(model, width), _line(data, width, _LABEL), *(why if not self.steps else [])]

    def _short(self, rows: int) -> list[str]:
        """What matters most, in as many lines."""
        if self.stage is not None or not self.steps:
            return [self._stage_text(), self.title][:rows]
        last = self.steps[-1]
        lines = [
            f"{last.progress:.0%} · step {last.step:,} · {self._eta()}",
            f"loss {self.smoothed[-1]:.4f}",
            f"validation {self._validation()}",
            f"{numbers.count(last.tokens_per_second)} tokens/s",
            self.title,
        ]
        return lines[:rows]

    def _progress(self, width: int) -> RenderableType:
        if self.stage is not None or not self.steps:
            return _line(self._stage_text(), width)
        last = self.steps[-1]
        text = f"step {last.step:,} · {last.progress:4.0%} · {self._eta()}"
        bar = ProgressBar(total=1.0, completed=last.progress, width=max(8, width - len(text) - 2))
        grid = Table.grid(padding=(0, 2))
        grid.add_row(bar, Text(text))
        return grid

    def _stage_text(self) -> str:
        if self.stage is None:
            return "getting ready" if self.planned is None else "first step"
        s = self.stage
        amount = numbers.size if s.unit == "bytes" else numbers.count
        done = f"{amount(s.done)} of {amount(s.total)}" if s.total else amount(s.done)
        unit = "" if s.unit == "bytes" else f" {s.unit}"
        return f"{s.stage}: {done}{unit}"

    def _eta(self) -> str:
        first, last = self.steps[0], self.steps[-1]
        elapsed = numbers.duration(last.elapsed_seconds)
        moved = last.progress - first.progress
        if last.progress >= 1 or moved <= 0:
            return elapsed
        left = (last.elapsed_seconds - first.elapsed_seconds) / moved * (1 - last.progress)
        return f"{elapsed} · {numbers.duration(left)} left"

    def _figures(self, width: int) -> RenderableType:
        last = self.steps[-1]
        grid = Table.grid(padding=(0, 2), expand=True)
        left, right = Text(), Text()
        left.append("loss ", _LABEL).append(f"{last.loss:.4f}").append(" smooth ", _LABEL)
        left.append(f"{self.smoothed[-1]:.4f}", "bold cyan")
        right.append("validation ", _LABEL).append(self._validation())
        grid.add_row(left, right)
        left, right = Text(), Text()
        left.append("rate ", _LABEL).append(f"{last.learning_rate:.2e} ")
        left.append(self._schedule(), "magenta")
        right.append("gradient norm ", _LABEL).append(f"{last.grad_norm:.3f}")
        if last.mfu is not None:
            right.append("  MFU ", _LABEL).append(f"{last.mfu:.0%}")
        grid.add_row(left, right)
        left, right = Text(), Text()
        left.append(f"{numbers.count(last.tokens_per_second)} tokens/s ", "bold")
        cells = 16 if last.device_utilization is None else 8
        left.append(bars([s.tokens_per_second for s in self.steps], cells), "green")
        if last.device_utilization is not None:
            left.append("  GPU ", _LABEL).append(f"{last.device_utilization:.0%} busy")
        right.append("memory ", _LABEL).append(numbers.size(last.memory_bytes))
        right.append("  saved ", _LABEL).append(self._save_age())
        grid.add_row(left, right)
        return grid

    def _validation(self) -> str:
        if not self.evals:
            return "not yet"
        last = self.evals[-1]
        counted = [score for score in self.evals if not score.is_asked]
        best = min(counted, key=lambda e: e.bits_per_byte, default=last)
        mark = "best" if last is best else f"best {best.bits_per_byte:.3f} at {best.step:,}"
        return f"{last.bits_per_byte:.4f} bits per byte ({mark})"

    def _schedule(self) -> str:
        """The rate so far as bars, and dots for what is to come: where the run is."""
        last = self.steps[-1]
        cells = 16
        done = min(cells, max(1, math.ceil(last.progress * cells)))
        return bars([s.learning_rate for s in self.steps], done) + "·" * (cells - done)

    def _save_age(self) -> str:
        if self.saved is None:
            return "not yet"
        when, event = self.saved
        return f"{numbers.ago(self.clock() - when)} at {event.step:,}"

    def _foot(self, width: int) -> list[RenderableType]:
        rows: list[RenderableType] = []
        if self.suites:
            scores = " · ".join(map(short_score, self.suites.values()))
            rows.append(Text("suites ", _LABEL).append_text(_line(scores, width - 7)))
        if self.sample is not None:
            body = Text().append("sample ", _LABEL)
            body.append(_end_of(_one_line(self.sample.prompt), width // 2), "bold")
            body.append(_one_line(self.sample.text))
            body.truncate(2 * width, overflow="ellipsis")
            rows.append(body)
        if self.notice is not None and (self.notice.level == "warning" or not self.steps):
            style = "yellow" if self.notice.level == "warning" else _LABEL
            body = Text(sanitize_line(self.notice.text), style)
            body.truncate(2 * width, overflow="ellipsis")
            rows.append(body)
        return rows


def loss_chart(
    steps: Sequence[StepFinished], smoothed: Sequence[float], width: int, height: int
) -> Text:
    """Raw losses as dots under the smooth line, with the range on the left."""
    xs = [float(step.step) for step in steps]
    raw = [step.loss for step in steps]
    # The first losses would flatten all that follows; they are drawn at the edge.
    low, high = min(raw), max(raw[len(raw) // 20 :])
    y_range = (low, high) if high > low else (low - 0.5, high + 0.5)
    size = {"width": max(10, width - _AXIS), "height": height}
    ranges = {"x_range": (xs[0], max(xs[-1], xs[0] + 1)), "y_range": y_range}
    dots = line_chart(xs, raw, is_joined=False, **size, **ranges)  # type: ignore[arg-type]
    smooth = line_chart(xs, smoothed, **size, **ranges)  # type: ignore[arg-type]
    labels = {0: f"{y_range[1]:6.3g} ", height - 1: f"{y_range[0]:6.3g} "}
    text = Text()
    for row in range(height):
        text.append(labels.get(row, " " * _AXIS), _LABEL)
        for dot, line in zip(dots[row], smooth[row], strict=True):
            text.append(*_overlay(dot, line))
        text.append("\n" if row < height - 1 else "")
    return text


def _line(text: str, width: int, style: str = "") -> Text:
    line = Text(sanitize_line(text), style, no_wrap=True)
    line.truncate(width, overflow="ellipsis")
    return line


def _one_line(text: str) -> str:
    return sanitize(text).replace("\n", "⏎").replace("\t", " ")


def _end_of(text: str, width: int) -> str:
    return text if len(text) <= width else f"…{text[1 - width :]}"


def _overlay(dot: str, line: str) -> tuple[str, str]:
    """The smooth line where it runs, else the raw dots."""
    return (line, "bold cyan") if line != "\u2800" else (dot, "bright_black")
