"""How weights, gradients and activations of a run are spread, step by step."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, get_args

from tissu_core.events.records import build_event
from tissu_core.events.shared import Noticed

HistogramKind: TypeAlias = Literal["weight", "grad", "activation"]
KINDS: tuple[HistogramKind, ...] = get_args(HistogramKind)


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorHistogram:
    """One tensor at one step. ``counts`` are of the bins from ``first_bin`` on; others are empty.

    Weights are those that the step began with, gradients those of its whole batch before clipping,
    activations those of up to 2,048 of its tokens, without dropout.
    """

    name: str
    """A parameter; or a block, whose output is the stream; or what reads a feed-forward's units."""
    kind: HistogramKind
    numel: int
    norm: float
    """Euclidean, of the finite values."""
    not_finite: int
    first_bin: int
    counts: tuple[int, ...]
    num_units: int = 0
    """Of a feed-forward."""
    dead: str = ""
    """Of its units those that these tokens never use, as a hexadecimal number: unit 0 is its
    lowest bit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HistogramsTaken:
    """A step of a run was looked at. ``edges`` are the bounds of all bins, one more than bins."""

    step: int
    edges: tuple[float, ...]
    tensors: tuple[TensorHistogram, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorHistory:
    """One tensor over a run; every tuple has an entry for each of ``steps``."""

    name: str
    kind: HistogramKind
    layer: int | None
    numel: int
    steps: tuple[int, ...]
    norms: tuple[float, ...]
    not_finite: tuple[int, ...]
    histograms: tuple[tuple[int, ...], ...]
    """Counts of all bins."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadUnits:
    """Units of a feed-forward that no token used in the last ``records``, from ``since`` on."""

    name: str
    units: tuple[int, ...]
    num_units: int
    records: int
    since: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Exploding:
    """A tensor whose norm is many times what it usually was, or that is not finite."""

    name: str
    kind: HistogramKind
    step: int
    norm: float
    usual: float
    """The median of the norms before."""
    not_finite: int


@dataclass(frozen=True, slots=True, kw_only=True)
class HistogramsRead:
    """The histograms of a run, and what is wrong with it by them."""

    run: str
    steps: tuple[int, ...]
    edges: tuple[float, ...]
    tensors: tuple[TensorHistory, ...]
    dead: tuple[DeadUnits, ...]
    exploding: tuple[Exploding, ...]


HistogramsEvent: TypeAlias = HistogramsRead | Noticed


def taken_from(record: Mapping[str, Any]) -> HistogramsTaken | None:
    """The record of a line; None of one that is damaged, or of another version."""
    if record.get("event") != HistogramsTaken.__name__:
        return None
    found = build_event(HistogramsTaken, record)
    return found if isinstance(found, HistogramsTaken) and _is_sound(found) else None


def _is_sound(taken: Any) -> bool:
    """Whether what a line of JSON was made into is of the kinds that are written here."""
    num_bins = len(taken.edges) - 1
    if not isinstance(taken.step, int):
        return False
    return all(
        isinstance(tensor, TensorHistogram)
        and tensor.kind in KINDS
        and type(tensor.norm) in (float, int)
        and 0 <= tensor.first_bin <= num_bins - len(tensor.counts)
        and int(tensor.dead or "0", 16) >= 0
        and sum(tensor.counts) + tensor.not_finite == tensor.numel
        for tensor in taken.tensors
    )
