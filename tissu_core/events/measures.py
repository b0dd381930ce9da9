"""What is found by looking at a model, a machine or a text."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

from tissu_core.events.shared import FileSkipped, Noticed, StageAdvanced


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentScored:
    """What one document costs a model. Units: bits per UTF-8 byte."""

    bits_per_byte: float
    num_tokens: int
    num_bytes: int
    path: str
    number: int
    """Among the documents of its file, from 1."""
    begins: str
    """Its first words."""


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
    documents: tuple[DocumentScored, ...] = ()
    """Those that cost most, as many as were asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeedPoint:
    """How fast ``batch`` texts behind ``context`` tokens each are read and written together."""

    batch: int
    context: int
    first_token_seconds: float
    prefill_tokens_per_second: float
    decode_tokens_per_second: float
    bandwidth_share: float
    """Of what the machine reads from memory in a second, what decoding reads of the weights."""
    step_p50_seconds: float | None = None
    """From a token of each text to the next; None in files of older versions, as below."""
    step_p99_seconds: float | None = None
    joules_per_token: float | None = None
    """While decoding, of all texts together; None where the machine does not tell."""
    price_per_million_tokens: float | None = None
    """Decoded by a machine at the price that was given."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeedMeasured:
    """The speed of a model on this machine."""

    model: str
    device: str
    precision: str
    num_parameters: int
    load_seconds: float
    """From files to ready, without the imports."""
    weight_bytes: int
    """Read for each step of decoding."""
    peak_bytes: int
    """The most memory that the process held on its device."""
    memory_bandwidth: float
    """Bytes a second."""
    points: tuple[SpeedPoint, ...]


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
    group_size: int | None
    """Weights that share a scale; None where all of a row do."""
    method: str
    num_parameters: int
    bf16_bytes: int
    """Of the weights at two bytes each."""
    num_bytes: int
    bits_per_byte_before: float | None
    bits_per_byte_after: float | None
    bits_per_byte_nearest: float | None
    """After rounding to the nearest, where another method was asked for."""
    measured_bytes: int
    tokens_per_second_before: float
    tokens_per_second_after: float
    """Written one after the other, by this machine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerRounded:
    """What it costs to keep a layer, or all, in so many bits."""

    layer: str
    """Of a block its name; "all" of all together."""
    bits: int
    sqnr_db: float
    """Decibels of the weights' power over that of what rounding changes; infinite of no change."""
    bits_per_byte: float | None
    """Of the whole model with this layer rounded alone; None where no text is read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelExported:
    """A model was written for another program."""

    model: str
    path: str
    format: str
    type: str
    """Of the numbers of most matrices."""
    num_bytes: int
    num_parameters: int
    tensor_types: tuple[str, ...]
    """All that are in the file, with how many tensors: "Q4_0 210"."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GradientChecked:
    """A layer's backward was held against differences of its forward."""

    layer: str
    num_parameters: int
    num_inputs: int
    """Of both, the numbers that were moved."""
    largest_error: float
    """Relative to the gradient, of the number where it is largest; NaN where one was none."""
    where: str
    """The tensor with that number."""
    is_passed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckFinished:
    """One thing was looked at. ``hint`` is the command that mends what is not ok."""

    name: str
    status: Literal["ok", "note", "problem"]
    value: str
    hint: str = ""


RoundingEvent: TypeAlias = LayerRounded | StageAdvanced | Noticed | FileSkipped
SpeedEvent: TypeAlias = SpeedMeasured | StageAdvanced | Noticed
EvaluateEvent: TypeAlias = StageAdvanced | FileSkipped | Noticed | PerplexityMeasured
QuantizeEvent: TypeAlias = StageAdvanced | FileSkipped | Noticed | ModelQuantized
ExportEvent: TypeAlias = StageAdvanced | Noticed | ModelExported
