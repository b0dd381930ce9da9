"""What the verbs say while they work: small frozen records that anything can render.

An event holds plain scalars and tuples, never a tensor, so it can cross a thread, a process, a
log file or a test. Each verb has its own union; renderers ``match`` over it and the type checker
refuses a forgotten case.
"""

import math
from dataclasses import MISSING, asdict, dataclass, fields
from typing import Any, Literal, TypeAlias, get_args

Level: TypeAlias = Literal["info", "warning"]


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


@dataclass(frozen=True, slots=True, kw_only=True)
class StageAdvanced:
    """Preparation or evaluation moved on. ``total`` is 0 while it is unknown."""

    stage: str
    done: int
    total: int
    unit: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FileSkipped:
    """A file was not read, and why."""

    path: str
    reason: str


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


@dataclass(frozen=True, slots=True, kw_only=True)
class EvalFinished:
    """The validation text was scored. ``loss`` in nats per token."""

    step: int
    loss: float
    perplexity: float
    bits_per_byte: float
    is_best: bool


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
class Noticed:
    """Something a person should know."""

    level: Level
    text: str


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


@dataclass(frozen=True, slots=True, kw_only=True)
class ContextTrimmed:
    """The oldest turns left the context; ``kept`` turns are what the model reads."""

    dropped: int
    kept: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenGenerated:
    """One token. ``text`` is what it completes: "" while a character is unfinished."""

    text: str
    token_id: int
    logprob: float


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerationFinished:
    """A reply ended: at an end token or stop text, its length, the context, or by the person.

    ``text`` is the whole reply; ``tail`` its end, held back until it was sure.
    """

    text: str
    tail: str
    reason: Literal["stop", "length", "context", "stopped"]
    prompt_tokens: int
    new_tokens: int
    first_token_seconds: float
    tokens_per_second: float


@dataclass(frozen=True, slots=True, kw_only=True)
class PerplexityMeasured:
    """The score of a model on some text. Units: nats per token, bits per UTF-8 byte."""

    model: str
    loss: float
    perplexity: float
    bits_per_byte: float
    num_tokens: int
    num_bytes: int
    num_documents: int
    context_tokens: int
    stride: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorSummarized:
    """Statistics of one tensor's finite values; NaN and infinities are counted beside them.

    ``histogram`` counts values in equal bins, ``edges`` are the bounds, one more than bins; the
    last bin holds its upper bound too.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    mean: float
    std: float
    min: float
    max: float
    zeros: int
    nans: int
    infs: int
    norm: float
    histogram: tuple[int, ...]
    edges: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModuleCounted:
    """A module of a model, or ``count`` equal ones: ``layers.[0-11].mlp``; figures are of all."""

    path: str
    kind: str
    count: int
    num_parameters: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelQuantized:
    """A smaller copy of a model was written. Bits per byte are None where nothing was measured."""

    model: str
    path: str
    bits: int
    num_parameters: int
    bf16_bytes: int
    """Of the weights at two bytes each."""
    num_bytes: int
    bits_per_byte_before: float | None
    bits_per_byte_after: float | None
    measured_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckFinished:
    """One thing was looked at. ``hint`` is the command that mends what is not ok."""

    name: str
    status: Literal["ok", "note", "problem"]
    value: str
    hint: str = ""


TrainEvent: TypeAlias = (
    RunStarted
    | RunResumed
    | StageAdvanced
    | FileSkipped
    | Planned
    | StepFinished
    | EvalFinished
    | CheckpointSaved
    | SampleGenerated
    | Noticed
    | RunFinished
)
GenerateEvent: TypeAlias = TokenGenerated | GenerationFinished
ChatEvent: TypeAlias = ContextTrimmed | TokenGenerated | GenerationFinished
EvaluateEvent: TypeAlias = StageAdvanced | FileSkipped | Noticed | PerplexityMeasured
QuantizeEvent: TypeAlias = StageAdvanced | FileSkipped | Noticed | ModelQuantized

_BY_NAME = {kind.__name__: kind for kind in get_args(TrainEvent)}


def to_record(
    event: TrainEvent | ChatEvent | EvaluateEvent | QuantizeEvent | TensorSummarized,
) -> dict[str, Any]:
    """The event as one JSON object, its kind under ``event``; JSON has no NaN, so that is None."""
    return {
        "event": type(event).__name__,
        **{name: _json_number(value) for name, value in asdict(event).items()},
    }


def _json_number(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def from_record(record: dict[str, Any]) -> TrainEvent | None:
    """The training event of a log line; None for a kind this version does not know."""
    kind = _BY_NAME.get(record.get("event", ""))
    if kind is None:
        return None
    names = {field.name: field.default is MISSING for field in fields(kind)}
    values = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in record.items()
        if name in names
    }
    is_whole = all(name in values for name, is_needed in names.items() if is_needed)
    return kind(**values) if is_whole else None
