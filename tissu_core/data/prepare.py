"""From a corpus to token shards: read, learn a vocabulary, tokenise, keep under a content key."""

import json
import shutil
import time
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import TypeAlias

from tissu_core.config.data import DataConfig
from tissu_core.data.documents import NotTextError, iter_documents
from tissu_core.data.fingerprint import Remembered, TextFile, corpus_key, iter_text_files
from tissu_core.data.shards import SOURCES_FILE, ShardWriter, TokenShards
from tissu_core.data.sources import Skipped, identity_of, iter_sources
from tissu_core.errors import InputError, IntegrityError
from tissu_core.events import FileSkipped, Noticed, StageAdvanced
from tissu_core.storage import (
    is_sealed,
    remove_leftovers,
    sealed_directory,
    sha256_file,
    write_json,
)
from tissu_core.text.bpe_trainer import iter_learning
from tissu_core.text.tokenizer import TOKENIZER_FILE, Tokenizer

PrepareEvent: TypeAlias = StageAdvanced | FileSkipped | Noticed
Stop: TypeAlias = Callable[[], bool]

SAMPLE_BYTES = 64 << 20
_FORMAT = 1
_BATCH_CHARACTERS = 1 << 20
_TICK_SECONDS = 0.1
_BAD_LINE_SHARE = 0.01
_VOCABULARIES = (
    (64_000, 512),
    (600_000, 1024),
    (4_000_000, 2048),
    (40_000_000, 4096),
    (400_000_000, 8192),
    (5_000_000_000, 16_384),
)


class PreparationStoppedError(Exception):
    """The person asked to stop while the corpus was prepared; the next start begins it again."""


def prepare(
    data: DataConfig, vocabulary: int | Path | None, cache: Path, stop: Stop
) -> Generator[PrepareEvent, None, TokenShards]:
    """Read a corpus and return its shards, from the cache if contents and settings are known.

    ``vocabulary`` is the size of one to learn, or the directory of a tokenizer to use.

    Raises:
        InputError: If a path is missing or nothing in it is text.
        IntegrityError: If a file changes while it is read.
        PreparationStoppedError: If ``stop`` turns true.
    """
    files = yield from read_corpus(data, cache, stop)
    num_bytes = sum(file.source.num_bytes for file in files)
    vocabulary = vocabulary or choose_vocab_size(num_bytes)
    directory = shards_directory(cache, files, vocabulary)
    if is_sealed(directory):
        yield Noticed(
            level="info", text=f"the tokens of this text are at hand ({directory.name[:8]})"
        )
        return TokenShards(directory)
    remove_leftovers(directory.parent)
    facts: dict[str, object] = {"kind": "tokens"}
    with sealed_directory(directory, facts) as temporary:
        if isinstance(vocabulary, Path):
            shutil.copyfile(vocabulary / TOKENIZER_FILE, temporary / TOKENIZER_FILE)
        else:
            facts["asked_vocab_size"] = vocabulary
            yield from _learn_tokenizer(files, vocabulary, temporary, stop)
        facts |= yield from _tokenize(files, temporary, stop)
        facts.setdefault("asked_vocab_size", facts["vocab_size"])
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


def shards_directory(cache: Path, files: list[TextFile], vocabulary: int | Path) -> Path:
    """Where the tokens of these contents live."""
    if isinstance(vocabulary, Path):
        made_by = f"tokenizer {sha256_file(vocabulary / TOKENIZER_FILE)}"
    else:
        made_by = f"vocabulary {vocabulary}"
    return cache / "tokens" / corpus_key(files, f"format {_FORMAT} {made_by}")


def choose_vocab_size(num_bytes: int) -> int:
    """A vocabulary for this much text: 1,024 for 100 kB, 4,096 for 10 MB, 32,768 from 5 GB on.

    Twice the vocabulary for about ten times the text: each token must be seen often enough to
    learn its row. A judgement; docs/recipes.md has the one size that was compared.
    """
    return next((size for limit, size in _VOCABULARIES if num_bytes <= limit), 32_768)


def _learn_tokenizer(
    files: list[TextFile], vocab_size: int, directory: Path, stop: Stop
) -> Generator[PrepareEvent, None, None]:
    sample = directory / "sample.jsonl"
    total = sum(file.source.num_bytes for file in files)
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
    for seconds in iter_learning(sample, vocab_size, directory / TOKENIZER_FILE):
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
    tokenizer.save(directory, context_tokens=0)
    writer = ShardWriter(directory, tokenizer.vocab_size)
    total = sum(file.source.num_bytes for file in files)
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
    known = {
        "paths": [str(file.source.path.resolve()) for file in files],
        "sha256": [file.sha256 for file in files],
    }
    write_json(directory / SOURCES_FILE, known)
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
