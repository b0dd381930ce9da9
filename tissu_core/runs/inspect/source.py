"""The verb inspect source: what of a text is memory of the training text, and where it stands."""

from collections.abc import Iterator
from itertools import islice

from tissu_core.config.data import DataConfig
from tissu_core.data.verbatim import Span, WordedText, cover, iter_spans
from tissu_core.data.verbatim_index import VerbatimIndex
from tissu_core.errors import InputError
from tissu_core.events.shared import StageAdvanced
from tissu_core.events.sources import TextTraced, TraceEvent, VerbatimSpan
from tissu_core.runs.trained_text import find_trained_text, open_index, read_trained_text

MIN_WORDS = 5
_MOST_PLACES = 3
"""Named of each span."""


def trace_text(
    text: str, model: str | None, corpus: DataConfig, min_words: int = MIN_WORDS
) -> Iterator[TraceEvent]:
    """Find what of ``text`` stands in ``corpus``, or what a run has learned; the last event says.

    Raises:
        InputError: If the text has fewer words than a span, or there is no corpus.
        IntegrityError: If a file changes while its index is made, or an index is damaged.
        ResourceError: If the disk is full.
    """
    worded = WordedText(text)
    if len(worded) < min_words:
        raise InputError(
            f"the text has {len(worded)} words, and what is looked for has {min_words} or more",
            hint=f"--min {len(worded)}" if len(worded) else "give a text with words",
        )
    trained = find_trained_text(model, corpus)
    files = yield from read_trained_text(trained)
    index = yield from open_index(trained.data.corpus, files)
    spans = []
    for span in iter_spans(worded, index, min_words):
        spans.append(span)
        yield StageAdvanced(stage="looking", done=span.last, total=len(worded), unit="words")
    covering = cover(spans)
    yield TextTraced(
        corpus=trained.data.corpus,
        corpus_bytes=index.facts["text_bytes"],
        corpus_words=index.facts["num_words"],
        text=text,
        num_words=len(worded),
        verbatim_words=len({word for span in covering for word in range(span.first, span.last)}),
        min_words=min_words,
        spans=tuple(_found(worded, index, span) for span in covering),
    )


def _found(text: WordedText, index: VerbatimIndex, span: Span) -> VerbatimSpan:
    wanted = text.bytes_of(span.first, span.last)
    begin, end = int(text.begins[span.first]), int(text.ends[span.last - 1])
    return VerbatimSpan(
        begin=begin,
        end=end,
        text=text.text[begin:end],
        num_words=span.last - span.first,
        num_bytes=len(wanted),
        times=index.count(wanted),
        places=tuple(map(index.place, islice(index.find(wanted), _MOST_PLACES))),
    )
