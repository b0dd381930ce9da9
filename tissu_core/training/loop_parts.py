"""What the training loop is given, and what it says."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from tissu_core.checkpoint.training_state import TrainState
from tissu_core.events.shared import Noticed, StageAdvanced
from tissu_core.events.suites import SuiteScored
from tissu_core.events.training import (
    CheckpointSaved,
    EvalFinished,
    ProfileFinished,
    Request,
    RequestTaken,
    RunResumed,
    SampleGenerated,
    StepFinished,
)
from tissu_core.models.score import Score
from tissu_core.training.gradients import Objective

LoopEvent = (
    StepFinished
    | StageAdvanced
    | EvalFinished
    | SuiteScored
    | CheckpointSaved
    | SampleGenerated
    | Noticed
    | RunResumed
    | RequestTaken
    | ProfileFinished
)
Asked = Callable[[], Sequence[Request | Noticed]]
EndReason = Literal["finished", "stopped", "stopped now", "patience"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopSettings:
    """Plain numbers of the loop."""

    steps: int
    """The last step, or an estimate when ``seconds`` ends the run."""
    seconds: float
    """Ends the run this long after it began; 0 leaves that to ``steps``."""
    micro_batch: int
    clip_value: float
    clip_norm: float
    log_every: int
    eval_every: int
    save_every: int
    patience: int
    seed: int
    precision: str
    mfu_of_token: float | None = None
    """Utilisation of the device at one token a second; None where its peak is not known."""
    is_scored_first: bool = False
    """Whether the model is scored before the first step: it has learned before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopParts:
    """What the loop calls, as plain functions."""

    objective: Objective
    batch: Callable[[int], Tensor]
    """Number to windows (B, T+1) on the CPU."""
    sources: Callable[[int], list[str]]
    """Number of a batch to the files it is from."""
    schedule: Callable[[int, float], float]
    """(step, progress) to a factor on the learning rates."""
    evaluate: Callable[[], Iterator[StageAdvanced | Score]]
    """Yields progress, and last the score."""
    save: Callable[[TrainState], CheckpointSaved]
    """Raises a ResourceError while the disk does not take it."""
    restore: Callable[[TrainState], RunResumed | None]
    """Weights, moments and state as the newest checkpoint has them; None where there is none."""
    mark_best: Callable[[int], None]
    sample: Callable[[int], SampleGenerated]
    clock: Callable[[], float]
    """Seconds since the run began, earlier sessions included."""
    after_step: Callable[[int, Tensor], None] = lambda step, is_bad: None
    """(steps before, whether this one was left out), once the weights have moved."""
    suites: Callable[[int], Iterator[SuiteScored | Noticed | StageAdvanced]] = lambda step: iter(())
    """What is asked of the model whenever it is scored."""
    requests: Asked = tuple
    """What was asked of the run since the last call."""
