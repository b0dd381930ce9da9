"""The tokens a run read, and those it goes on with: the same, unless a change is accepted."""

from collections.abc import Generator
from dataclasses import replace
from pathlib import Path
from typing import Any

from tissu_core.data.corpus import Stop, read_corpus
from tissu_core.data.fingerprint import TextFile, compare_files
from tissu_core.data.prepare import prepare, shards_directory
from tissu_core.data.shards import SOURCES_FILE, TokenShards
from tissu_core.data.vocabulary import Vocabulary, given_vocabulary
from tissu_core.errors import ConfigError, InputError, IntegrityError
from tissu_core.events.shared import Noticed
from tissu_core.events.training import TrainEvent
from tissu_core.runs.home import cache_directory
from tissu_core.runs.train.run_loop import Log
from tissu_core.runs.train.stored_run import StoredRun
from tissu_core.storage import is_sealed, read_json, read_manifest

_SHOWN_CHANGES = 5


def tokens_directory(stored: StoredRun) -> Path:
    """Where the tokens of a run lie, until somebody clears the cache."""
    return cache_directory() / "tokens" / stored.tokens_key


def open_tokens(stored: StoredRun, name: str, hint: str) -> TokenShards:
    """The tokens that the run of this name read.

    Raises:
        InputError: If they are gone; with this hint.
    """
    directory = tokens_directory(stored)
    if not is_sealed(directory):
        raise InputError(f"the tokens that {name} read are gone from {directory}", hint=hint)
    return TokenShards(directory)


def find_tokens(
    stored: StoredRun,
    learned: Vocabulary | None,
    stop: Stop,
    log: Log,
    *,
    is_change_accepted: bool,
) -> Generator[TrainEvent, None, TokenShards]:
    """The tokens a run began with: they are what bit-equal resume rests on.

    Of a text that changed, if that is accepted, the tokens of the vocabulary it has ``learned``.

    Raises:
        IntegrityError: If the text is not what it was; names the files.
    """
    data, cache, cached = stored.run.data, cache_directory(), tokens_directory(stored)
    has_tokenizer = Path(data.tokenizer).exists()  # "" is the working directory: none was given
    read = [*data.corpus, *([data.tokenizer] if learned is None and data.tokenizer else [])]
    gone = [path for path in read if not Path(path).exists()]
    if gone and is_sealed(cached):
        yield Noticed(
            level="warning",
            text=f"{gone[0]} is gone; training goes on from the tokens made with it",
        )
        return TokenShards(cached)
    if gone:
        raise IntegrityError(
            f"{gone[0]} is gone, and so are the tokens made with it",
            safe="every checkpoint: tissu chat works",
            hint="put it back, then the same command",
        )
    asked = stored.run.model.vocab_size
    assert asked
    vocabularies = [learned] if learned is not None else []
    if has_tokenizer and not stored.run.tuning.origin:
        vocabularies.insert(0, given_vocabulary(data, asked) or Vocabulary(asked))
    files = yield from read_corpus(data, cache, stop)
    vocabularies = [vocabulary.fitted(files, data) for vocabulary in vocabularies]
    for vocabulary in vocabularies:
        if shards_directory(cache, files, vocabulary) == cached:
            if is_sealed(cached):
                return TokenShards(cached)
            return (yield from prepare(data, asked, cache, stop, vocabulary))
    _refuse_other_vocabulary(cached, asked)
    changes = _changes(cached, files)
    if not is_change_accepted:
        raise IntegrityError(
            f"the text in {', '.join(data.corpus)} is not what this run began with: {changes}",
            safe="every checkpoint: tissu chat works",
            hint="put it back as it was, or go on with it: the same with --accept-data-change",
        )
    yield log(
        Noticed(
            level="warning",
            text=f"the text changed ({changes}): weights and optimizer are kept, and the data "
            "order begins anew on the text as it is now",
        )
    )
    return (yield from prepare(data, asked, cache, stop, vocabularies[-1]))


def without_gone_text(stored: StoredRun) -> StoredRun:
    """The run without the paths of its corpus that are gone, unless all are."""
    data = stored.run.data
    found = tuple(path for path in data.corpus if Path(path).exists())
    if not found or found == data.corpus:
        return stored
    return replace(stored, run=replace(stored.run, data=replace(data, corpus=found)))


def _refuse_other_vocabulary(cached: Path, asked: int) -> None:
    facts: dict[str, Any] = read_manifest(cached) if is_sealed(cached) else {}
    made_with = facts.get("asked_vocab_size", asked)
    if made_with != asked:
        raise ConfigError(
            f"this run's config.toml asks for a vocabulary of {asked}, and its tokens were made "
            f"with one of {made_with}",
            field="vocab_size",
            hint=f"put vocab_size = {made_with} back in config.toml, or start a new run",
        )


def _changes(cached: Path, files: list[TextFile]) -> str:
    """The files added, removed and changed, as far as is known."""
    changes = changed_files(cached, files)
    if changes is None:
        return "which files, only its tokens could say, and they are gone"
    return shortened(changes) or "files are in another order"


def changed_files(cached: Path, files: list[TextFile]) -> list[str] | None:
    """What changed since tokens were made, a line a file; None where nobody knows it any more."""
    if not is_sealed(cached):
        return None
    sources = read_json(cached / SOURCES_FILE)
    before = dict(zip(sources["paths"], sources.get("sha256", []), strict=False))
    return compare_files(before, files)


def shortened(changes: list[str]) -> str:
    """The first few changes."""
    more = [f"and {len(changes) - _SHOWN_CHANGES} more"] if len(changes) > _SHOWN_CHANGES else []
    return ", ".join([*changes[:_SHOWN_CHANGES], *more])
