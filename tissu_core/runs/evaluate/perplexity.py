"""The verb eval ppl: how well a model predicts text."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from tissu_core.config.data import DataConfig
from tissu_core.config.machine import DeviceConfig
from tissu_core.data.corpus import read_corpus
from tissu_core.data.fingerprint import TextFile
from tissu_core.events.measures import DocumentScored, EvaluateEvent, PerplexityMeasured
from tissu_core.runs.catalog import find_model
from tissu_core.runs.evaluate.scoring import score_files, set_windows
from tissu_core.runs.home import cache_directory

if TYPE_CHECKING:
    from tissu_core.evals.perplexity import ScoredText

_BEGINNING = 60
"""Characters that tell documents apart."""


def measure_perplexity(
    data: DataConfig,
    model: str | None,
    machine: DeviceConfig,
    *,
    context: int | None = None,
    stride: int | None = None,
    documents: int = 0,
) -> Iterator[EvaluateEvent]:
    """Score every document of ``data``; the last event is the result.

    ``context`` is read at once, by default what the model was trained on. The result names so many
    ``documents``, those that cost most.

    Raises:
        InputError: If the text or the model cannot be read, or the model predicts nothing.
        ConfigError: If the stride is not in 1..context, or the model has too few positions.
    """
    find_model(model)  # what is not there is said before the text is read
    files = yield from read_corpus(data, cache_directory())
    from tissu_core.evals.perplexity import TextScorer
    from tissu_core.runs.loading import load_for_use

    loaded, _ = load_for_use(model, machine)
    yield from loaded.notices
    context, stride = set_windows(loaded, context, stride)
    worst = _WorstDocuments(files, documents)
    score, num_documents = yield from score_files(TextScorer(loaded, stride), files, worst.add)
    yield PerplexityMeasured(
        model=str(loaded.path),
        loss=score.loss,
        perplexity=score.perplexity,
        bits_per_byte=score.bits_per_byte,
        num_tokens=score.num_tokens,
        num_bytes=score.num_bytes,
        num_documents=num_documents,
        context_tokens=context,
        stride=stride,
        documents=worst.documents(),
    )


class _WorstDocuments:
    """The documents that cost most bits per byte."""

    def __init__(self, files: list[TextFile], most: int) -> None:
        from tissu_core.evals.worst import Worst

        self._worst = Worst[DocumentScored](most)
        self._files = files

    def add(self, scored: "ScoredText") -> None:
        path, score = self._files[scored.file].source.path, scored.score
        if not score.num_bytes:
            return
        self._worst.add(
            score.bits_per_byte,
            lambda: DocumentScored(
                bits_per_byte=score.bits_per_byte,
                num_tokens=score.num_tokens,
                num_bytes=score.num_bytes,
                path=str(path),
                number=scored.number,
                begins=" ".join(scored.text[:_BEGINNING].split()),
            ),
        )

    def documents(self) -> tuple[DocumentScored, ...]:
        return self._worst.pieces()
