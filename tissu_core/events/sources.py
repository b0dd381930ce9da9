"""Where text stands in a corpus: what is memory, and what an evaluation has leaked."""

from dataclasses import dataclass
from typing import TypeAlias

from tissu_core.events.shared import FileSkipped, Noticed, StageAdvanced

BITS_PER_BYTE = "bits/byte"
"""What text is scored by."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SourcePlace:
    """Where something stands in a corpus."""

    path: str
    text: int
    """The number of the text in its file, from 1."""
    line: int | None
    """From 1; None in files without lines."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VerbatimSpan:
    """Words of a text that stand in the corpus letter by letter. Units: characters, from 0."""

    begin: int
    end: int
    """One past the last character."""
    text: str
    num_words: int
    num_bytes: int
    times: int
    """How often it stands there."""
    places: tuple[SourcePlace, ...]
    """Some of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TextTraced:
    """What of a text stands in a corpus; ``spans`` are as few as cover all of that, in order."""

    corpus: tuple[str, ...]
    corpus_bytes: int
    corpus_words: int
    text: str
    num_words: int
    verbatim_words: int
    min_words: int
    """A span has as many at least."""
    spans: tuple[VerbatimSpan, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LeakedItem:
    """An item of an evaluation with words in a row that stand in the corpus."""

    source: str
    """The suite or file that it is of."""
    item: str
    """Its name there: the id of a question, the number of a document."""
    num_ngrams: int
    leaked_ngrams: int
    ngram: str
    """The first of those that stand there, in lower case."""
    place: SourcePlace
    """Where it stands first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaksInSource:
    """How many items of a suite or of text are in the corpus, and what a model scores without.

    Scores are None where nothing was scored, or no item is left.
    """

    source: str
    num_items: int
    num_short: int
    """Items of too few words for a judgement."""
    num_leaked: int
    metric: str
    """``BITS_PER_BYTE`` of text, a suite's own; "" where nothing was scored."""
    score: float | None
    """Of all items: bits per byte, or the mean of what a suite's items are worth, in [0, 1]."""
    score_clean: float | None
    """Without those that leaked."""
    score_leaked: float | None
    """Of those that leaked alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaksFound:
    """Items of evaluations that stand in a corpus."""

    corpus: tuple[str, ...]
    corpus_bytes: int
    model: str
    """That was scored; "" if none was."""
    ngram: int
    """Words in a row that make a leak; of shorter items all."""
    sources: tuple[LeaksInSource, ...]
    leaked: tuple[LeakedItem, ...]


TraceEvent: TypeAlias = StageAdvanced | FileSkipped | Noticed | TextTraced
LeakEvent: TypeAlias = StageAdvanced | FileSkipped | Noticed | LeaksFound
