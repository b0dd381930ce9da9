"""Which of a mixture's experts are asked, and by which tokens."""

from dataclasses import dataclass
from typing import TypeAlias

from tissu_core.events.shared import FileSkipped, Noticed, StageAdvanced


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenRouted:
    """A token that an expert is asked by more than by others."""

    text: str
    count: int
    """How often it asked this expert."""
    times_read: int
    times_chance: float
    """The expert's share of this token over its share of all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpertUsed:
    """How often one expert of a layer is asked. Shares are in [0, 1]."""

    expert: int
    count: int
    share: float
    """Of all choices of the layer; even would be one over the experts."""
    mean_weight: float
    """What its answer is multiplied by where it is asked; 0 if it never is."""
    tokens: tuple[TokenRouted, ...]
    """What it is asked by most, for how often each is read; the clearest first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PairChosen:
    """Two experts that the same tokens ask."""

    first: int
    second: int
    count: int
    times_chance: float
    """Over the count if experts were chosen independently, each as often as it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerRouted:
    """The experts of one layer."""

    layer: int
    experts: tuple[ExpertUsed, ...]
    balance: float
    """Entropy of the shares over that of even ones: 1 is even, 0 one expert for all."""
    max_share: float
    dead: tuple[int, ...]
    """Experts that no token asked."""
    pairs: tuple[PairChosen, ...]
    """Those most above chance first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpertsObserved:
    """Where a model's routers sent the tokens of a text, without the token that begins it."""

    model: str
    num_tokens: int
    num_experts: int
    experts_per_token: int
    layers: tuple[LayerRouted, ...]


ExpertsEvent: TypeAlias = ExpertsObserved | StageAdvanced | FileSkipped | Noticed
