"""The text that a model has learned: which files it was, and its index. Imports no torch."""

from collections.abc import Generator
from dataclasses import dataclass, replace
from pathlib import Path

from tissu_core.config.data import DataConfig
from tissu_core.data.corpus import PrepareEvent, read_corpus
from tissu_core.data.fingerprint import TextFile, corpus_key
from tissu_core.data.prepare import num_bytes_of
from tissu_core.data.verbatim_index import FORMAT, VerbatimIndex, write_index
from tissu_core.errors import InputError
from tissu_core.events.shared import FileSkipped, Noticed
from tissu_core.runs.catalog import find_model
from tissu_core.runs.home import cache_directory
from tissu_core.runs.run_directory import find_run, run_of
from tissu_core.runs.train.stored_run import StoredRun, read_run
from tissu_core.runs.train.stored_tokens import (
    changed_files,
    shortened,
    tokens_directory,
    without_gone_text,
)
from tissu_core.storage import (
    is_sealed,
    read_manifest,
    remove_directory,
    remove_leftovers,
    sealed_directory,
)

_HINT = "--corpus DIR, the text to look in"


@dataclass(frozen=True, slots=True)
class TrainedText:
    """The corpus of a run, or of nobody."""

    data: DataConfig
    run: Path | None = None
    stored: StoredRun | None = None


def find_trained_text(model: str | None, corpus: DataConfig) -> TrainedText:
    """``corpus`` if it names one, else what a run has learned; None is the newest run.

    Raises:
        InputError: If there is no such run, or its text is gone.
    """
    if corpus.corpus:
        return TrainedText(replace(corpus, format="auto"))
    run = _run_of(model)
    stored = without_gone_text(read_run(run))
    data = stored.run.data
    if not any(Path(path).exists() for path in data.corpus):
        raise InputError(
            f"the text that {run.name} learned is gone: {', '.join(data.corpus)}", hint=_HINT
        )
    return TrainedText(data, run, stored)


def read_trained_text(text: TrainedText) -> Generator[PrepareEvent, None, list[TextFile]]:
    """Its files, as they are now; says where they are no longer what was learned.

    Raises:
        InputError: If a path is missing or nothing is text.
    """
    reading = read_corpus(text.data, cache_directory(), may_mix=text.run is None)
    if text.run is None or text.stored is None:
        return (yield from reading)
    files = yield from _without_skips(reading)
    if changes := changed_files(tokens_directory(text.stored), files):
        yield Noticed(
            level="warning",
            text=f"the text is no longer what {text.run.name} learned: {shortened(changes)}",
        )
    if origin := text.stored.run.tuning.origin:
        yield Noticed(
            level="info",
            text=f"{text.run.name} began as {origin}, whose text is not looked in",
        )
    return files


def open_index(
    corpus: tuple[str, ...], files: list[TextFile]
) -> Generator[PrepareEvent, None, VerbatimIndex]:
    """The index of the ``files`` of a corpus, which is made if there is none of what they hold now.

    One of what they held before is removed.

    Raises:
        InputError: If they hold no word.
        IntegrityError: If one changes meanwhile, or an index is damaged.
        ResourceError: If the disk is full.
    """
    indexes = cache_directory() / "verbatim"
    directory = indexes / corpus_key(files, f"verbatim {FORMAT}")
    if not is_sealed(directory):
        paths = [str(Path(path).expanduser().resolve()) for path in corpus]
        stale = [each for each in indexes.glob("[!.]*") if _corpus_of(each) == paths]
        total = num_bytes_of(files)
        yield Noticed(
            level="info",
            text="the text changed since its index was made: it is made again"
            if stale
            else f"an index of this text is made, once; it lies in {indexes}",
        )
        remove_leftovers(indexes)
        facts: dict[str, object] = {"kind": "verbatim", "corpus": paths}
        with sealed_directory(directory, facts) as temporary:
            facts |= yield from write_index(files, total, temporary)
        for path in stale:
            remove_directory(path)
    return VerbatimIndex(directory, files)


def _without_skips(
    reading: Generator[PrepareEvent, None, list[TextFile]],
) -> Generator[PrepareEvent, None, list[TextFile]]:
    """A run has told what it skipped when it began."""
    while True:
        try:
            event = next(reading)
        except StopIteration as end:
            files: list[TextFile] = end.value
            return files
        if not isinstance(event, FileSkipped):
            yield event


def _corpus_of(index: Path) -> object:
    return read_manifest(index).get("corpus") if is_sealed(index) else None


def _run_of(model: str | None) -> Path:
    if model is None:
        try:
            return find_run("last")
        except InputError as error:
            raise InputError(error.message, hint=f"{_HINT}; or {error.hint}") from None
    try:
        return find_run(model)
    except InputError:
        run = run_of(find_model(model))
    if run is None:
        raise InputError(f"{model} is of no run: nobody knows what it has learned", hint=_HINT)
    return run
