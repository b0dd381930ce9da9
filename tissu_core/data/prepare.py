"""From a corpus to token shards: read, learn a vocabulary, tokenise, keep under a content key."""

import json
import time
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import TypeAlias

from tissu_core.config.data import DataConfig
from tissu_core.data.documents import NotTextError, iter_documents
from tissu_core.data.fingerprint import Remembered, TextFile, corpus_key, iter_text_files
from tissu_core.data.shards import SOURCES_FILE, ShardWriter, TokenShards
from tissu_core.data.sources import Skipped, identity_of, iter_sources
from tissu_core.data.vocabulary import Vocabulary, choose_vocab_size, given_vocabulary
from tissu_core.errors import InputError, IntegrityError
from tissu_core.events import FileSkipped, Noticed, StageAdvanced
from tissu_core.storage import is_sealed, remove_leftovers, sealed_directory, write_json
from tissu_core.text.learning import iter_learning
from tissu_core.text.tokenizer import Tokenizer

PrepareEvent: TypeAlias = StageAdvanced | FileSkipped | Noticed
Stop: TypeAlias = Callable[[], bool]

SAMPLE_BYTES = 64 << 20
_FORMAT = 1
_BATCH_CHARACTERS = 1 << 20
_TICK_SECONDS = 0.1
_BAD_LINE_SHARE = 0.01


class PreparationStoppedError(Exception):
    """The person asked to stop while the corpus was prepared; the next start begins it again."""


def prepare(
    data: DataConfig, vocab_size: int | None, cache: Path, stop: Stop
) -> Generator[PrepareEvent, None, TokenShards]:
    """Read a corpus and return its shards, from the cache if contents and settings are known.

    Raises:
        InputError: If a path is missing or nothing in it is text, or the tokenizer is no use.
        ConfigError: If the tokenizer has another size than ``vocab_size``.
        IntegrityError: If a file changes while it is read, or the tokenizer is another.
        PreparationStoppedError: If ``stop`` turns true.
    """
    given = given_vocabulary(data, vocab_size)
    files = yield from read_corpus(data, cache, stop)
    vocabulary = given or Vocabulary(vocab_size or choose_vocab_size(num_bytes_of(files)))
    directory = shards_directory(cache, files, vocabulary)
    if is_sealed(directory):
        yield Noticed(
            level="info", text=f"the tokens of this text are at hand ({directory.name[:8]})"
        )
        return TokenShards(directory)
    remove_leftovers(directory.parent)
    facts: dict[str, object] = {"kind": "tokens", "asked_vocab_size": vocabulary.vocab_size}
    with sealed_directory(directory, facts) as temporary:
        if vocabulary.given:
            vocabulary.given.save(temporary)
        else:
            yield from learn_tokenizer(files, vocabulary.vocab_size, "qwen2", temporary, stop)
        facts |= yield from _tokenize(files, temporary, stop)
    return TokenShards(directory)


def read_corpus(
    data: DataConfig, cache: Path, stop: Stop = bool
) -> Generator[PrepareEvent, None, list[TextFile]]:
    """The text files of a corpus, each read to its end once in its life."""
    files: list[TextFile] = []
    num_skipped = done = 0
    ticks = _Ticks()
    sources = iter_sources(data.corpus, data.only, data.exclude)
    yield StageAdvanced(stage="reading", done=0, total=0, unit="files")

    def tick() -> None:
        if stop():
            raise PreparationStoppedError

    for found in iter_text_files(sources, Remembered(cache / "files.json"), tick):
        tick()
        if isinstance(found, Skipped):
            num_skipped += 1
            yield FileSkipped(path=str(found.path), reason=found.reason)
        else:
            files.append(found)
        done += 1
        if ticks.is_due():
            yield StageAdvanced(stage="reading", done=done, total=0, unit="files")
    if not files:
        raise InputError(
            f"no text in {', '.join(data.corpus)}: {num_skipped} files and folders seen, none of "
            "them UTF-8 text, .jsonl, or these as .gz",
            hint="name a folder with text files",
        )
    yield StageAdvanced(stage="reading", done=done, total=done, unit="files")
    return files


def num_bytes_of(files: list[TextFile]) -> int:
    """The size of a corpus."""
    return sum(file.source.num_bytes for file in files)


def shards_directory(cache: Path, files: list[TextFile], vocabulary: Vocabulary) -> Path:
    """Where the tokens of these contents live."""
    return cache / "tokens" / corpus_key(files, f"format {_FORMAT} {vocabulary.key}")


def learn_tokenizer(
    files: list[TextFile], vocab_size: int, split: str, directory: Path, stop: Stop
) -> Generator[PrepareEvent, None, None]:
    """Learn from a sample of the text; ``directory`` then holds the tokenizer.

    Raises:
        PreparationStoppedError: If ``stop`` turns true.
    """
    sample = directory / "sample.jsonl"
    total = num_bytes_of(files)
    # Every n-th document, so that a sample of a large corpus comes from all of it.
    keep_every = max(1, -(-total // SAMPLE_BYTES))
    yield StageAdvanced(stage="learning the vocabulary", done=0, total=0, unit="seconds")
    ticks = _Ticks()
    with sample.open("w", encoding="utf-8") as out:
        for number, (text, _) in enumerate(iter_corpus(files, [])):
            # The second condition is for .gz, whose size says little of its text.
            if number % keep_every == 0 and out.tell() < SAMPLE_BYTES:
                out.write(json.dumps(text, ensure_ascii=False) + "\n")
            if stop():
                raise PreparationStoppedError
            if ticks.is_due():
                yield StageAdvanced(
                    stage="choosing a sample", done=number, total=0, unit="documents"
                )
    for seconds in iter_learning(sample, vocab_size, directory, split):
        yield StageAdvanced(
            stage="learning the vocabulary", done=int(seconds), total=0, unit="seconds"
        )
        if stop():
            raise PreparationStoppedError
    sample.unlink()


def _tokenize(
    files: list[TextFile], directory: Path, stop: Stop
) -> Generator[PrepareEvent, None, dict[str, object]]:
    tokenizer = Tokenizer.load(directory)
    writer = ShardWriter(directory, tokenizer.vocab_size)
    total = num_bytes_of(files)
    bad_lines: list[str] = []
    ticks, read, text_bytes = _Ticks(), 0, 0
    for texts, sources in _iter_text_batches(iter_corpus(files, bad_lines)):
        for ids, source in zip(tokenizer.encode_batch(texts), sources, strict=True):
            writer.append([tokenizer.end_id, *ids], source)
        read += sum(map(len, texts))
        text_bytes += sum(len(text.encode()) for text in texts)
        if stop():
            raise PreparationStoppedError
        if ticks.is_due():
            yield StageAdvanced(
                stage="tokenising", done=min(text_bytes, total), total=total, unit="bytes"
            )
    writer.close()
    if not writer.num_documents and not bad_lines:
        raise InputError("the files hold no letter of text", hint="name a folder with text files")
    if bad_lines:
        _judge_bad_lines(bad_lines, writer.num_documents)
        yield Noticed(
            level="warning",
            text=f"{len(bad_lines)} JSONL lines without a text were skipped, first {bad_lines[0]}",
        )
    write_json(directory / SOURCES_FILE, {"paths": [str(file.source.path) for file in files]})
    yield StageAdvanced(stage="tokenising", done=total, total=total, unit="bytes")
    return {
        "dtype": writer.dtype.name,
        "num_tokens": writer.num_tokens,
        "num_documents": writer.num_documents,
        "text_bytes": text_bytes,
        "vocab_size": tokenizer.vocab_size,
    }


def _judge_bad_lines(bad_lines: list[str], num_documents: int) -> None:
    if len(bad_lines) > _BAD_LINE_SHARE * (num_documents + len(bad_lines)):
        raise InputError(
            f"{len(bad_lines)} JSONL lines are no object with a text, first {bad_lines[0]}",
            hint='write each line as {"text": "..."}',
        )


def iter_corpus(files: list[TextFile], bad_lines: list[str]) -> Iterator[tuple[str, int]]:
    """Every document with the number of its file.

    Raises:
        IntegrityError: If a file is not what it was when it was hashed.
    """
    for number, file in enumerate(files):
        path = file.source.path
        changed = IntegrityError(
            f"{path} changed while the corpus was prepared",
            hint="run the same command again when nothing writes there",
        )
        numbers: list[int] = []
        try:
            for text in iter_documents(path, numbers.append):
                yield text, number
            bad_lines += [f"{path}:{line}" for line in numbers]
            if identity_of(path.stat()) != file.source.identity:
                raise changed
        except (OSError, NotTextError) as error:
            raise changed from error


def _iter_text_batches(
    documents: Iterator[tuple[str, int]],
) -> Iterator[tuple[list[str], list[int]]]:
    texts: list[str] = []
    sources: list[int] = []
    size = 0
    for text, source in documents:
        texts.append(text)
        sources.append(source)
        size += len(text)
        if size >= _BATCH_CHARACTERS:
            yield texts, sources
            texts, sources, size = [], [], 0
    if texts:
        yield texts, sources


class _Ticks:
    """Lets an event through about ten times a second."""

    def __init__(self) -> None:
        self._last = time.monotonic()

    def is_due(self) -> bool:
        now = time.monotonic()
        if now - self._last < _TICK_SECONDS:
            return False
        self._last = now
        return True
