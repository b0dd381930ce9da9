"""What a training run says."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, get_args

from tissu_core.events.records import build_event, by_name
from tissu_core.events.shared import FileSkipped, Noticed, StageAdvanced
from tissu_core.events.suites import SuiteScored

Request: TypeAlias = Literal["pause", "resume", "sample", "save", "evaluate", "stop", "stop now"]
"""What can be asked of a run while it trains. ``stop`` saves first, ``stop now`` does not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStarted:
    """A run has its directory and writes there from now on."""

    name: str
    directory: str
    tissu_version: str
    torch_version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RunResumed:
    """A run goes on after ``from_step``; readers drop what was logged beyond it."""

    name: str
    directory: str
    from_step: int
    batch_offset: int = 0
    """By how many batches the order of the text is ahead of the step from here on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """What was chosen for this corpus and machine, before the first step.

    Units: tokens, bytes, steps; ``passes`` is how often the training text will be seen.
    """

    model: str
    num_parameters: int
    vocab_size: int
    context_tokens: int
    train_tokens: int
    validation_tokens: int
    batch_tokens: int
    steps: int
    is_timed: bool
    """Whether the clock ends the run, so that ``steps`` is an estimate."""
    minutes: float
    passes: float
    optimizer: str
    learning_rate: float
    device: str
    precision: str
    reasons: tuple[str, ...]
    learned_tokens: int | None = None
    """The training tokens that are learned, where it is not all of them."""
    learning_parameters: int | None = None
    """The parameters that learn, where it is not all of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cheaper:
    """What a run would take with one more option, reckoned from what was measured."""

    change: str
    num_parameters: int
    hours: float | None
    peak_bytes: int
    disk_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Probed:
    """Two steps were taken of a run that is not begun; None was not measured.

    ``peak_bytes`` is of the program on its device, ``free_bytes`` what it could have there;
    ``disk_bytes`` is of all that is kept at once.
    """

    num_parameters: int
    tokens: int
    steps: int
    step_seconds: float | None
    hours: float | None
    peak_bytes: int
    free_bytes: int
    disk_bytes: int
    free_disk_bytes: int
    is_fitting: bool
    alternatives: tuple[Cheaper, ...]
    mfu: float | None = None
    """Model FLOPs utilisation of the faster step."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepFinished:
    """Training steps up to ``step`` are done; figures are of the newest or since the last event.

    ``loss`` is the mean since the last event in nats per token; ``progress`` is in [0, 1].
    """

    step: int
    progress: float
    loss: float
    learning_rate: float
    grad_norm: float
    tokens: int
    tokens_per_second: float
    elapsed_seconds: float
    memory_bytes: int
    device_utilization: float | None
    """Share of the time a GPU was busy, in [0, 1]; None where nobody says."""
    mfu: float | None = None
    """Model FLOPs utilisation: 6 N + 12 L H Q T operations a token, as a share of the device's peak
    (Chowdhery et al. 2022, appendix B); None where the peak is not known."""
    data_wait: float | None = None
    """Share of the time that the loop waited for its next batch."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EvalFinished:
    """The validation text was scored. ``loss`` in nats per token."""

    step: int
    loss: float
    perplexity: float
    bits_per_byte: float
    is_best: bool
    is_asked: bool = False
    """Whether a person asked for it: patience and the best checkpoint know nothing of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointSaved:
    """A checkpoint is on disk, verified, and ``last`` points at it."""

    step: int
    path: str
    num_bytes: int
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleGenerated:
    """What the model says now."""

    step: int
    prompt: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestTaken:
    """Somebody asked the run for something, and it is done after ``step``."""

    step: int
    request: Request


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileFinished:
    """Some steps up to ``step`` were watched: where their time or memory went, largest first.

    Of kind "cpu" numbers are seconds of a step, of "memory" they are bytes.
    """

    kind: str
    step: int
    steps: int
    step_seconds: float
    trace: str
    """A file for chrome://tracing or ui.perfetto.dev."""
    held_bytes: int
    """Of weights and moments, between two steps."""
    phases: tuple[tuple[str, float], ...]
    """Name, and seconds or the peak."""
    modules: tuple[tuple[str, float, float], ...]
    """Name, with seconds forward and backward, without its submodules'; or bytes with theirs: what
    is kept when its forward ends, and the most that takes."""
    operators: tuple[tuple[str, int, float], ...]
    """Name, calls and seconds of a step."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFinished:
    """The run ended on its own terms and its model is saved; None was never measured."""

    name: str
    directory: str
    model_path: str
    step: int
    stopped_early: bool
    reason: str
    elapsed_seconds: float
    loss: float | None
    bits_per_byte: float | None
    mfu: float | None = None
    """Mean of the reports since the run began or went on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RanksAwaited(Noticed):
    """A process waits for others that have not joined it: nothing has begun."""


TrainEvent: TypeAlias = (
    RunStarted
    | RunResumed
    | StageAdvanced
    | FileSkipped
    | Planned
    | Probed
    | StepFinished
    | EvalFinished
    | SuiteScored
    | CheckpointSaved
    | SampleGenerated
    | RequestTaken
    | ProfileFinished
    | Noticed
    | RunFinished
)
_OF_TRAINING = by_name(get_args(TrainEvent))


def from_record(record: Mapping[str, Any]) -> TrainEvent | None:
    """The training event of a log line; None for a kind this version does not know."""
    kind = _OF_TRAINING.get(record.get("event", ""))
    found: TrainEvent | None = build_event(kind, record) if kind is not None else None
    return found
