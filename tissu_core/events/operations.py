"""What is found by timing ways to compute single operations."""

from dataclasses import dataclass
from typing import TypeAlias

from tissu_core.events.shared import StageAdvanced


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
class OperationsTimed:
    """Ways to compute single operations, side by side."""

    model: str
    device: str
    ways: tuple[OperationTimed, ...]


OperationsEvent: TypeAlias = OperationsTimed | StageAdvanced
