"""What is seen of a model while it reads a prompt."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

from tissu_core.events.shared import Noticed

HeadKind: TypeAlias = Literal["previous", "induction", "first", "local", "broad"]
"""What a head reads most of: the token before, what followed the same token earlier, the first
token, the last few, or nothing of these."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadScored:
    """What a head of attention reads on the whole: means over the tokens of a prompt."""

    layer: int
    head: int
    kind: HeadKind
    entropy: float
    """Bits."""
    previous: float
    """Share of what is read that the token before has."""
    first: float
    """Share of the first token."""
    induction: float | None
    """Share of the tokens that followed the same token earlier; None if none comes again."""
    local: float | None
    """Share of the token itself and the three before, where these are less than half of all there
    are; None if they nowhere are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadShown:
    """What each token of a part of a prompt reads by one head."""

    layer: int
    head: int
    shares: tuple[tuple[float, ...], ...]
    """A row for each token that is shown: its share of each of these up to itself. With
    ``earlier``, a row sums to 1."""
    earlier: tuple[float, ...]
    """The share of the tokens before those that are shown."""
    most: tuple[tuple[tuple[int, float], ...], ...]
    """The tokens of the whole prompt that it reads most, by number, with their shares."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AttentionSeen:
    """What the heads of a model read of a prompt."""

    model: str
    tokens: tuple[str, ...]
    """The whole prompt as the model reads it."""
    num_layers: int
    num_heads: int
    first: int
    """The first token of which ``shown`` tells, by its number in the prompt."""
    last: int
    heads: tuple[HeadScored, ...]
    """All of the model's, or of the layer that was asked for."""
    shown: tuple[HeadShown, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LensRead:
    """What a layer's stream would say of the next token if it were the last."""

    tokens: tuple[str, ...]
    """The likeliest, in order."""
    probabilities: tuple[float, ...]
    answer_probability: float
    """Of what the whole model finds likeliest here."""
    answer_rank: int
    """1 is the likeliest."""
    kl: float
    """Bits from the model's own distribution to this one, KL(model || layer)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LensLayer:
    """A layer's stream at each token that is shown."""

    name: str
    """``embed`` of what enters the first layer, else the layer's number."""
    reads: tuple[LensRead, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LensAnswer:
    """Where the answer of the whole model is found. Layers by their names."""

    token: str
    probability: float
    first_layer: str
    """The first after which it is the likeliest."""
    stays_layer: str
    """The first from which on it remains so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LensSeen:
    """What a model would say after each layer, at some tokens of a prompt."""

    model: str
    tokens: tuple[str, ...]
    """The whole prompt as the model reads it."""
    first: int
    """The first token that is shown, by its number in the prompt."""
    last: int
    layers: tuple[LensLayer, ...]
    answers: tuple[LensAnswer, ...]
    """One for each token that is shown."""


AttentionEvent: TypeAlias = AttentionSeen | Noticed
LensEvent: TypeAlias = LensSeen | Noticed
