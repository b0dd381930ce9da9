"""Where a model's bytes go: on disk, to use it, to train it."""

from dataclasses import dataclass
from typing import TypeAlias

from tissu_core.events.shared import Noticed


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightsCounted:
    """One part of a model in one type of numbers."""

    part: str
    """embedding, attention, feed-forward, norms, head or others."""
    dtype: str
    """As its files spell it."""
    num_bytes: int
    """In its files."""
    loaded_bytes: int
    """In memory: fp32, or packed as it is stored."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingMemory:
    """What a step of training is expected to take, as ``tissu train`` plans with it."""

    recompute: str
    """Whose activations are dropped and computed again: none, ffn or block."""
    parts: tuple[tuple[str, int], ...]
    """What for, and bytes."""
    num_bytes: int
    is_fitting: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryCounted:
    """All of it for one batch and context. Units: bytes."""

    model: str
    device: str
    free_bytes: int
    """That this device could still give."""
    batch: int
    """Sequences at once."""
    context_tokens: int
    num_parameters: int
    precision: str
    """Of the products in training."""
    weights: tuple[WeightsCounted, ...]
    cache_bytes_per_token: int
    cache_bytes: int
    """Keys and values of the whole batch at its context, in fp32."""
    use_bytes: int
    """Weights as loaded, and the cache."""
    is_use_fitting: bool
    optimizer_bytes: tuple[tuple[str, int], ...]
    """What each optimizer of ``tissu train`` keeps beside the weights."""
    training: tuple[TrainingMemory, ...]


MemoryEvent: TypeAlias = MemoryCounted | Noticed
