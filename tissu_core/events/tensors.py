"""What is found by looking at the tensors of one model, or of two."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

from tissu_core.events.shared import StageAdvanced

Place = tuple[int, ...]
"""An index for each dimension."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NormedLine:
    """A row or a column of a matrix that stands out. ``ratio`` is its norm over the median one."""

    index: int
    norm: float
    ratio: float


@dataclass(frozen=True, slots=True, kw_only=True)
class LinesExamined:
    """The norms of a matrix's rows, or of its columns; of what is many the first are named."""

    axis: Literal["row", "column"]
    median_norm: float
    num_dead: int
    """With next to no norm."""
    dead: tuple[int, ...]
    num_outliers: int
    """With a norm far above what is usual."""
    outliers: tuple[NormedLine, ...]
    """The largest first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SpectrumMeasured:
    """The singular values of a matrix, and what they say of its rank."""

    values: tuple[float, ...]
    """The largest first."""
    rank: int
    """Values above what rounding leaves of zero."""
    effective_rank: float
    """The exponential of the entropy of the values' shares."""
    stable_rank: float
    """The sum of squares over the largest square."""
    condition: float | None
    """The largest over the smallest; None where that is no more than rounding."""
    energy: tuple[tuple[int, float], ...]
    """How many of the largest values hold which share of the sum of squares."""
    noise_edge: float
    """The largest that a random matrix of the same shape and mean square would have."""
    num_above_noise: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundingMeasured:
    """What packing a matrix cost, in decibels of its power over that of the error."""

    expected_db: float | None
    """From the steps between its levels, if errors are spread evenly in them."""
    measured_db: float | None
    """Against another model's tensor of the same name, which is not packed and another."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorCompared:
    """How far a tensor is from that of another model; what is no number in either is left out."""

    name: str
    shape: tuple[int, ...]
    change: float | None
    """The norm of the difference over that of the other model's; None where only that is zero."""
    cosine: float
    """Of the angle between both as vectors; 1 where both are zero."""
    largest: float
    """The change of the value that changed most, with its sign."""
    place: Place
    norm: float
    """Of the other model's."""
    new_norm: float
    left_out: int
    """Values that are no numbers in one of them."""


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
    num_bytes: int = 0
    """In its file, with scales and minima."""
    not_finite: tuple[Place, ...] = ()
    """Where the first values are that are no numbers."""
    num_extreme: int = 0
    """Values that are far from the mean, in standard deviations."""
    largest: tuple[Place, float] | None = None
    """The value that is largest without its sign, and where."""
    lines: tuple[LinesExamined, ...] = ()
    """Rows and columns of a matrix."""
    spectrum: SpectrumMeasured | None = None
    rounding: RoundingMeasured | None = None
    comparison: TensorCompared | None = None
    not_compared: str = ""
    """Why it was not compared, where that was asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorListed:
    """A tensor as the header of its file has it; bytes with those of scales and minima."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    num_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PartCompared:
    """What all tensors of one kind in a layer became, taken as one vector.

    ``kind`` is "all" of a whole layer, as ``layer`` is of the whole model.
    """

    layer: str
    kind: str
    change: float | None
    """Relative; None where only the older norm is zero."""
    cosine: float


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerMoved:
    """A part of a model over the checkpoints of a run, each against the first of them."""

    layer: str
    steps: tuple[int, ...]
    changes: tuple[float, ...]
    """Relative, one for each step; the first is 0."""
    moved_between: tuple[int, int] | None
    """The checkpoints between which it began to move; None if it never did."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightsCompared:
    """Two models held against each other: what became of ``before`` in ``after``."""

    before: str
    after: str
    settings: tuple[tuple[str, str, str], ...]
    """What differs of their configurations: name, before and after."""
    tensors: tuple[TensorCompared, ...]
    """Those that both have, in the model's order."""
    parts: tuple[PartCompared, ...]
    """The same by layers and kinds of modules."""
    only_before: tuple[str, ...]
    only_after: tuple[str, ...]
    other_shapes: tuple[tuple[str, tuple[int, ...], tuple[int, ...]], ...]
    """Tensors that both have in unequal shapes."""
    moved: tuple[LayerMoved, ...]
    """Of a run's checkpoints, where both belong to it."""


DiffEvent: TypeAlias = StageAdvanced | WeightsCompared
