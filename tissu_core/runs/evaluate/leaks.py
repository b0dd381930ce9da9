"""The verb eval leaks: which items of evaluations a model has read in training."""

from collections import defaultdict
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING

from tissu_core.checkpoint.leases import lease
from tissu_core.config.data import DataConfig
from tissu_core.config.machine import DeviceConfig
from tissu_core.data.corpus import PrepareEvent, iter_corpus, read_corpus
from tissu_core.data.fingerprint import TextFile
from tissu_core.data.ngrams import Leak, NGrams, iter_leaks, plain_words
from tissu_core.data.prepare import num_bytes_of
from tissu_core.errors import TissuError
from tissu_core.events.shared import Noticed, StageAdvanced
from tissu_core.events.sources import (
    BITS_PER_BYTE,
    LeakedItem,
    LeakEvent,
    LeaksFound,
    LeaksInSource,
)
from tissu_core.events.suites import ItemScored
from tissu_core.runs.catalog import find_model
from tissu_core.runs.enough_memory import enough_memory
from tissu_core.runs.evaluate.scoring import score_files, set_windows
from tissu_core.runs.evaluate.suites import measure_suites
from tissu_core.runs.home import cache_directory, seems_there, suites_directory
from tissu_core.runs.trained_text import TrainedText, find_trained_text, read_trained_text

if TYPE_CHECKING:
    from tissu_core.evals.suites.suite import Suite


@dataclass(frozen=True, slots=True)
class _Scores:
    """Of all items, of those that are in no corpus, and of those that are."""

    metric: str = ""
    of_all: float | None = None
    of_clean: float | None = None
    of_leaked: float | None = None


_NO_SCORES = _Scores()


@dataclass(slots=True)
class _Texts:
    """Documents to be judged, and the names of them."""

    name: str
    files: list[TextFile]
    items: list[str] = field(default_factory=list)

    def iter_items(self) -> Iterator[str]:
        numbers: dict[int, int] = defaultdict(int)
        for text, file in iter_corpus(self.files):
            numbers[file] += 1
            self.items.append(f"{self.files[file].source.path.name}:{numbers[file]}")
            yield text

    def iter_scores(
        self, is_leaked: Sequence[bool], model: str, machine: DeviceConfig
    ) -> Generator[StageAdvanced | Noticed, None, _Scores]:
        """Bits per byte."""
        from tissu_core.evals.perplexity import ScoredText, TextScorer
        from tissu_core.models.score import Score
        from tissu_core.runs.loading import load_for_use

        loaded, _ = load_for_use(model, machine)
        yield from loaded.notices
        _, stride = set_windows(loaded, None, None)
        sums, documents = {True: Score(), False: Score()}, iter(is_leaked)

        def add(scored: ScoredText) -> None:
            sums[next(documents)] += scored.score

        yield from score_files(TextScorer(loaded, stride), self.files, add)
        each = (sums[True] + sums[False], sums[False], sums[True])
        return _Scores(BITS_PER_BYTE, *(s.bits_per_byte if s.num_bytes else None for s in each))


@dataclass(slots=True)
class _Questions:
    """The items of a suite."""

    name: str
    suite: "Suite"
    items: list[str] = field(default_factory=list)

    def iter_items(self) -> Iterator[str]:
        from tissu_core.evals.suites.prompts import behind

        for item in self.suite.items:
            self.items.append(item.id)
            yield behind(item.prompt, item.answers[0] if item.answers else "")

    def iter_scores(
        self, is_leaked: Sequence[bool], model: str, machine: DeviceConfig
    ) -> Generator[StageAdvanced | Noticed, None, _Scores]:
        """The mean of the items that the model's context holds."""
        kinds = dict(zip(self.items, is_leaked, strict=True))
        values: dict[bool, list[float]] = {True: [], False: []}
        for event in measure_suites([self.name], model, machine):
            if isinstance(event, ItemScored):
                values[kinds[event.id]].append(event.value)
            elif isinstance(event, StageAdvanced | Noticed):
                yield event
        each = (values[True] + values[False], values[False], values[True])
        return _Scores(self.suite.metric, *(fmean(v) if v else None for v in each))


def find_leaks(
    names: Sequence[str],
    model: str | None,
    *,
    data: DataConfig,
    corpus: DataConfig,
    machine: DeviceConfig,
    ngram: int,
    is_scored: bool,
) -> Iterator[LeakEvent]:
    """Items of suites and documents of text that share ``ngram`` words in a row with a corpus.

    The corpus is ``corpus``, or what the run ``model`` has learned. The last event is the result,
    with the scores of the model for all items and for those that are not in the corpus, if
    ``is_scored`` and a model is named or there. What cannot be scored is said, and searched.

    Raises:
        TissuError: If a suite, the text, the corpus or the model cannot be read.
    """
    with ExitStack() as leases:
        scored: str | None = None
        if is_scored and (model is not None or seems_there(None)):
            path = find_model(model)
            leases.enter_context(lease(path))
            model = scored = str(path)  # the newest and the best may be others meanwhile
        trained = find_trained_text(model, corpus)
        sources = yield from _open(names, data)
        yield from _find(sources, trained, scored, machine, ngram)


def _find(
    sources: Sequence[_Texts | _Questions],
    trained: TrainedText,
    model: str | None,
    machine: DeviceConfig,
    ngram: int,
) -> Iterator[LeakEvent]:
    """Search for each source's items, then score them with ``model`` if there is one."""
    scorable = (yield from _scorable(sources)) if model is not None else []
    files = yield from read_trained_text(trained)
    texts = (text for source in sources for text in source.iter_items())
    ngrams = NGrams(map(plain_words, texts), ngram)
    found: dict[int, _Found] = {}
    for event in iter_leaks(files, num_bytes_of(files), ngrams):
        if isinstance(event, Leak):
            found.setdefault(event.item, _Found(event)).add(event)
        else:
            yield event
    judged: list[LeaksInSource] = []
    leaked: list[LeakedItem] = []
    for source, items in _with_numbers(sources):
        leaked += [_leaked(source, n - items[0], ngrams, found[n]) for n in items if n in found]
        scores = _NO_SCORES
        if model is not None and source.name in scorable:
            is_leaked = [n in found for n in items]
            try:
                with enough_memory("to score it", hint="--no-scores"):
                    scores = yield from source.iter_scores(is_leaked, model, machine)
            except TissuError as error:
                yield _not_scored(source, error)
        judged.append(_judged(source, ngrams, items, found, scores))
    yield LeaksFound(
        corpus=trained.data.corpus,
        corpus_bytes=num_bytes_of(files),
        model=model or "",
        ngram=ngram,
        sources=tuple(judged),
        leaked=tuple(leaked),
    )


@dataclass(slots=True)
class _Found:
    """What of an item stands in the corpus: how many n-grams, and the first of them in the item."""

    first: Leak
    count: int = 0

    def add(self, leak: Leak) -> None:
        self.count += 1
        if leak.position < self.first.position:
            self.first = leak


def _scorable(
    sources: Sequence[_Texts | _Questions],
) -> Generator[Noticed, None, list[str]]:
    """Names of those that this machine can score; the others are said before the search."""
    from tissu_core.evals.suites.scoring import require_suite

    names = []
    for source in sources:
        try:
            if isinstance(source, _Questions):
                require_suite(source.suite)
        except TissuError as error:
            yield _not_scored(source, error)
        else:
            names.append(source.name)
    return names


def _not_scored(source: _Texts | _Questions, error: TissuError) -> Noticed:
    return Noticed(level="warning", text=f"{source.name} is not scored: {error.message}")


def _with_numbers(
    sources: Sequence[_Texts | _Questions],
) -> Iterator[tuple[_Texts | _Questions, range]]:
    """Each with the numbers of its items among all."""
    begin = 0
    for source in sources:
        yield source, range(begin, begin + len(source.items))
        begin += len(source.items)


def _open(
    names: Sequence[str], data: DataConfig
) -> Generator[PrepareEvent, None, list[_Texts | _Questions]]:
    """Files and folders as text, anything else as suites."""
    from tissu_core.evals.suites.files import SUFFIX, load_suite

    sources: list[_Texts | _Questions] = []
    for name in dict.fromkeys(names):
        path = Path(name).expanduser()
        if path.exists() and path.suffix != SUFFIX:
            files = yield from read_corpus(replace(data, corpus=(name,)), cache_directory())
            sources.append(_Texts(name, files))
        else:
            sources.append(_Questions(name, load_suite(name, suites_directory())))
    return sources


def _leaked(source: _Texts | _Questions, item: int, ngrams: NGrams, found: _Found) -> LeakedItem:
    first = found.first
    return LeakedItem(
        source=source.name,
        item=source.items[item],
        num_ngrams=ngrams.count(first.item),
        leaked_ngrams=found.count,
        ngram=ngrams.text_of(first.item, first.position),
        place=first.place,
    )


def _judged(
    source: _Texts | _Questions,
    ngrams: NGrams,
    items: range,
    found: Mapping[int, _Found],
    scores: _Scores,
) -> LeaksInSource:
    return LeaksInSource(
        source=source.name,
        num_items=len(items),
        num_short=sum(map(ngrams.is_short, items)),
        num_leaked=sum(item in found for item in items),
        metric=scores.metric,
        score=scores.of_all,
        score_clean=scores.of_clean,
        score_leaked=scores.of_leaked,
    )
