"""What a run's log says of a step, and how far that is out of the usual. Needs no torch."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from tissu_core.errors import InputError
from tissu_core.events.shared import Noticed
from tissu_core.events.training import RunFinished, RunResumed, StepFinished, TrainEvent

_AROUND, _SHOWN = 10, 3
"""Reports on each side that say what is usual, and those that are shown."""
_FEWEST = 5
"""Reports before one, below which nothing is called usual."""
_NORMAL = 1.4826
"""Times the median absolute deviation, the standard deviation of normal noise."""
_LEAST_SPREAD = 1e-3
"""Of the usual value: a curve that hardly moves has no spikes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """A figure of a report, and how many standard deviations it lies above what is usual.

    That is the median of the reports before it, or of those behind it if that is higher: a spike
    stands out on both sides. None where there are too few before.
    """

    value: float
    usual: float | None
    deviations: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StepReport:
    """What the log says of some steps: it has a report every so many."""

    first_step: int
    last_step: int
    loss: Measured
    grad_norm: Measured
    """Of the last step."""
    learning_rate: float
    neighbours: tuple[tuple[int, float, float, float], ...]
    """Reports around it, itself included: step, loss, gradient norm, learning rate."""
    notices: tuple[str, ...]
    """What was said while these steps were taken."""


def last_step(events: Sequence[TrainEvent]) -> int:
    """The last step that a run may have taken: it may have died before its next report."""
    steps = [event.step for event in events if isinstance(event, StepFinished)]
    if not steps or any(isinstance(event, RunFinished) for event in events):
        return steps[-1] if steps else 0
    return steps[-1] + (steps[-1] - steps[-2] if len(steps) > 1 else steps[-1])


def batch_offset(events: Sequence[TrainEvent], step: int) -> int:
    """By how many batches the order of the text was ahead at a step, after a rollback."""
    resumed = [e for e in events if isinstance(e, RunResumed) and e.from_step < step]
    return resumed[-1].batch_offset if resumed else 0


def report_of(events: Sequence[TrainEvent], step: int) -> StepReport | None:
    """The report that covers a step; None of one that was never reported."""
    reports = [event for event in events if isinstance(event, StepFinished)]
    for index, report in enumerate(reports):
        if report.step >= step:
            return _report(events, reports, index)
    return None


def worst_spike(events: Sequence[TrainEvent], run: Path) -> StepReport:
    """The report whose loss is the furthest above the usual.

    Raises:
        InputError: If there are too few to say.
    """
    reports = [event for event in events if isinstance(event, StepFinished)]
    if len(reports) <= _FEWEST:
        raise InputError(
            f"{run.name} has {len(reports)} reports, too few to say which is out of the usual",
            hint=f"tissu inspect why {run.name} --step {reports[-1].step if reports else 1}",
        )
    losses = [report.loss for report in reports]
    heights = [_measured(losses, index).deviations or 0.0 for index in range(_FEWEST, len(losses))]
    return _report(events, reports, _FEWEST + heights.index(max(heights)))


def _report(
    events: Sequence[TrainEvent], reports: Sequence[StepFinished], index: int
) -> StepReport:
    report = reports[index]
    begin = events.index(reports[index - 1]) if index else 0
    end = events.index(report)
    around = reports[max(0, index - _SHOWN) : index + _SHOWN + 1]
    return StepReport(
        first_step=(reports[index - 1].step if index else 0) + 1,
        last_step=report.step,
        loss=_measured([each.loss for each in reports], index),
        grad_norm=_measured([each.grad_norm for each in reports], index),
        learning_rate=report.learning_rate,
        neighbours=tuple((r.step, r.loss, r.grad_norm, r.learning_rate) for r in around),
        notices=tuple(event.text for event in events[begin:end] if isinstance(event, Noticed)),
    )


def _measured(values: Sequence[float], index: int) -> Measured:
    value, behind = values[index], index + 1
    sides = [values[max(0, index - _AROUND) : index], values[behind : behind + _AROUND]]
    if len(sides[0]) < _FEWEST:
        return Measured(value=value, usual=None, deviations=None)
    middles = [median(side) for side in sides if side]
    away = [abs(x - middle) for side, middle in zip(sides, middles, strict=False) for x in side]
    usual = max(middles)
    spread = max(_NORMAL * median(away), _LEAST_SPREAD * abs(usual), 1e-12)
    return Measured(value=value, usual=usual, deviations=(value - usual) / spread)
