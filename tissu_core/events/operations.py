"""What is found by timing ways to compute single operations."""

from dataclasses import dataclass
from typing import TypeAlias

from tissu_core.events.shared import FileSkipped, Noticed, StageAdvanced


@dataclass(frozen=True, slots=True, kw_only=True)
class OperationTimed:
    """One way to compute an operation for a model's shapes, on this machine."""

    operation: str
    shape: str
    way: str
    is_used: bool
    """Whether tissu computes so."""
    median_seconds: float
    iqr_seconds: float
    """Between the first and the third quarter of the measurements."""
    largest_error: float
    """To the operation's first way."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TableMeasured:
    """What a text costs where the activation is computed, and where it is read from a table."""

    activation: str
    lut_size: int
    num_tokens: int
    computed_perplexity: float
    perplexity: float
    computed_bits_per_byte: float
    bits_per_byte: float


@dataclass(frozen=True, slots=True, kw_only=True)
class OperationsTimed:
    """Ways to compute single operations, side by side."""

    model: str
    device: str
    ways: tuple[OperationTimed, ...]
    table: TableMeasured | None = None
    """Of the text that was named."""


OperationsEvent: TypeAlias = OperationsTimed | StageAdvanced | FileSkipped | Noticed
