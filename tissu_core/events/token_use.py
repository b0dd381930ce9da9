"""Which tokens a model writes, against those of its text."""

from dataclasses import dataclass
from typing import TypeAlias

from tissu_core.events.shared import FileSkipped, Noticed, StageAdvanced


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenShare:
    """How often one token is generated, and in the training text."""

    id: int
    token: str
    generated: int
    training: int
    log2_ratio: float
    """Of how often it is generated over how often it would be as in the training text, half a time
    added to both."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TextVariety:
    """Figures of some texts, no n-gram of which crosses from one to the next."""

    num_tokens: int
    num_texts: int
    num_types: int
    distinct: tuple[float, float, float]
    """Different 1-, 2- and 3-grams over all of them (Li et al. 2016, arXiv:1510.03055)."""
    entropy_bits: float
    """Of the distribution of tokens."""
    repetition: float
    """Share of 4-grams that were in the same text before (Welleck et al. 2020,
    arXiv:1908.04319)."""
    divergence_bits: float
    """Jensen-Shannon, from all of the training text: 0 is the same, 1 has nothing in common."""
    growth: tuple[tuple[int, int], ...]
    """Tokens read so far, and different ones among them."""
    ranks: tuple[tuple[int, float], ...]
    """Rank by frequency, and the share of the token there (Zipf 1949)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TokensMeasured:
    """What a model writes, beside as much of the training text, cut alike."""

    model: str
    source: str
    """Where the generated text is from."""
    vocab_size: int
    """Tokens of text; control tokens are not counted anywhere."""
    corpus_tokens: int
    generated: TextVariety
    training: TextVariety
    overused: tuple[TokenShare, ...]
    underused: tuple[TokenShare, ...]
    never_in_corpus: int
    never_generated: int
    never_at_all: int
    """In neither."""
    new: tuple[TokenShare, ...]
    """Generated, and never in the training text; the most frequent."""
    num_new: int
    unused_ids: tuple[int, ...]
    """Those in neither."""


TokensEvent: TypeAlias = TokensMeasured | StageAdvanced | Noticed | FileSkipped
