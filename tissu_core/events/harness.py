"""What EleutherAI's lm-evaluation-harness found."""

from dataclasses import dataclass
from typing import TypeAlias

from tissu_core.events.shared import Noticed, StageAdvanced


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskScored:
    """One figure of one task, as the harness names both."""

    task: str
    metric: str
    filter: str
    """What became of the answers before they were judged; "none" if nothing."""
    value: float
    standard_error: float | None
    num_items: int
    num_shots: int | None
    """Solved examples before each item."""
    is_higher_better: bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class HarnessFinished:
    """A model's figures of all tasks that were asked for."""

    model: str
    harness_version: str
    scores: tuple[TaskScored, ...]


HarnessEvent: TypeAlias = HarnessFinished | StageAdvanced | Noticed
