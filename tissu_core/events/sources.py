"""Where text stands in a corpus: what is memory, and what an evaluation has leaked."""

from dataclasses import dataclass
from typing import TypeAlias

from tissu_core.events.shared import FileSkipped, Noticed, StageAdvanced


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


TraceEvent: TypeAlias = StageAdvanced | FileSkipped | Noticed | TextTraced
