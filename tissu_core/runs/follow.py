"""Reading a run's ``events.jsonl``, while it is written or afterwards. Imports no torch."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tissu_core.events.training import (
    CheckpointSaved,
    EvalFinished,
    Planned,
    RunFinished,
    RunResumed,
    StepFinished,
    TrainEvent,
    from_record,
)
from tissu_core.tracking.event_log import EVENTS_FILE


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFacts:
    """A run in one record."""

    state: str
    """"finished", "stopped", or "unfinished" when its log has no end."""
    step: int
    steps: int
    """Planned; 0 when the clock ends the run."""
    num_parameters: int
    train_tokens: int
    tokens: int
    loss: float | None
    bits_per_byte: float | None
    elapsed_seconds: float
    last_saved_step: int | None
    updated: float
    """Unix time of the last line."""


def iter_log(directory: Path) -> Iterator[tuple[float, TrainEvent]]:
    """Every event with its time; half-written and unknown lines are passed over."""
    path = directory / EVENTS_FILE
    if not path.is_file():
        return
    with path.open(encoding="utf-8", errors="replace") as lines:
        yield from filter(None, map(parse_line, lines))


def parse_line(line: str | bytes) -> tuple[float, TrainEvent] | None:
    """The event of a line, with its time; None of one that is half or unknown."""
    try:
        # Of bytes json guesses the encoding first, which takes as long as all the rest.
        record = json.loads(line.decode() if isinstance(line, bytes) else line)
        event = from_record(record)
        when = float(record.get("time", 0.0))
    except (ValueError, TypeError, AttributeError, OverflowError, RecursionError):
        return None
    return None if event is None else (when, event)


def read_events(directory: Path) -> list[TrainEvent]:
    """The history that counts: after a resume, later steps of the earlier try are dropped."""
    history: list[TrainEvent] = []
    for _, event in iter_log(directory):
        if isinstance(event, RunResumed):
            history = [old for old in history if getattr(old, "step", 0) <= event.from_step]
            history = [old for old in history if not isinstance(old, RunFinished)]
        history.append(event)
    return history


def read_facts(directory: Path) -> RunFacts:
    """The run's facts as its log has them."""
    events = read_events(directory)
    updated = max((when for when, _ in iter_log(directory)), default=0.0)
    planned = next((e for e in reversed(events) if isinstance(e, Planned)), None)
    steps = [e for e in events if isinstance(e, StepFinished)]
    scores = [e.bits_per_byte for e in events if isinstance(e, EvalFinished) and not e.is_asked]
    saves = [e.step for e in events if isinstance(e, CheckpointSaved)]
    end = next((e for e in events if isinstance(e, RunFinished)), None)
    last = steps[-1] if steps else None
    state = "unfinished" if end is None else "stopped" if end.stopped_early else "finished"
    return RunFacts(
        state=state,
        step=last.step if last else 0,
        steps=planned.steps if planned and not planned.is_timed else 0,
        num_parameters=planned.num_parameters if planned else 0,
        train_tokens=planned.train_tokens if planned else 0,
        tokens=last.tokens if last else 0,
        loss=last.loss if last else None,
        bits_per_byte=min(scores) if scores else None,
        elapsed_seconds=last.elapsed_seconds if last else 0.0,
        last_saved_step=max(saves) if saves else None,
        updated=updated,
    )
