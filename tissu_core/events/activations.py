"""What is found by looking at the numbers that a model computes on the way."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

from tissu_core.events.shared import FileSkipped, Noticed, StageAdvanced

ActivationPart: TypeAlias = Literal["embedding", "stream", "attention", "units", "mlp"]
"""What enters the first block; the stream after a block; what its attention and its feed-forward
add; the units inside of its feed-forward, which are what ``down_proj`` reads."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ActivationSummarized:
    """Figures of one place over all tokens; of finite values, others are counted beside them."""

    name: str
    """The module, as ``named_modules`` has it."""
    part: ActivationPart
    layer: int | None
    """None of the embedding."""
    num_tokens: int
    """That went through it: an expert sees some."""
    width: int
    """Channels, or units."""
    mean: float
    std: float
    max_abs: float
    zeros: float
    """Share of values that are exactly zero, in [0, 1]."""
    kurtosis: float
    """Excess: 0 of normal values, large where few values hold most of the power."""
    not_finite: int
    norm: float
    """Median over tokens of the Euclidean norm of all channels."""
    growth: float | None
    """Of a stream, its norm over that of the stream before."""
    largest_channel: int
    """Where ``max_abs`` is."""
    largest_ratio: float
    """``max_abs`` over the median size of all values of its text."""
    dead_units: tuple[int, ...]
    """Of units, those that never exceed a thousandth of what the median unit reaches."""
    histogram: tuple[int, ...]
    edges: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class MassiveActivation:
    """A channel of the stream that is enormous at some tokens (Sun et al. 2024, arXiv:2402.17762).

    Larger than 100 and than a thousand times the median size of all channels of its text.
    """

    name: str
    layer: int | None
    channel: int
    value: float
    ratio: float
    token: str
    """Where it is largest."""
    position: int
    """In the row that was read, from 0."""
    num_tokens: int
    """At which it is so large."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ActivationsMeasured:
    """What a model computes while it reads some tokens."""

    model: str
    num_tokens: int
    places: tuple[ActivationSummarized, ...]
    """In the order in which they are computed."""
    massive: tuple[MassiveActivation, ...]
    first_not_finite: str
    """The first module whose output holds NaN or infinities; "" if none does."""
    bad_weights: tuple[tuple[str, int], ...]
    """Tensors of the model with NaN or infinities, and how many."""


ActivationsEvent: TypeAlias = ActivationsMeasured | StageAdvanced | Noticed | FileSkipped
