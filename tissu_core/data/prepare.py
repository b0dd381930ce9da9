"""From a corpus to token shards: read, learn a vocabulary, tokenise, keep under a content key."""

import json
from collections.abc import Generator, Iterator
from pathlib import Path

from tissu_core.config.data import DataConfig
from tissu_core.data.chats import Unusable, iter_conversations
from tissu_core.data.corpus import (
    BadLines,
    PreparationStoppedError,
    PrepareEvent,
    Stop,
    Ticks,
    iter_corpus,
    read_corpus,
)
from tissu_core.data.fingerprint import TextFile, corpus_key
from tissu_core.data.shards import SOURCES_FILE, Document, ShardWriter, TokenShards
from tissu_core.data.vocabulary import Vocabulary, choose_vocab_size, given_vocabulary
from tissu_core.errors import InputError
from tissu_core.events.shared import Noticed, StageAdvanced
from tissu_core.storage import is_sealed, remove_leftovers, sealed_directory, write_json
from tissu_core.text.learning import iter_learning
from tissu_core.text.tokenizer import Tokenizer

SAMPLE_BYTES = 64 << 20
_FORMAT = 1
_BATCH_CHARACTERS = 1 << 20


def prepare(
    data: DataConfig,
    vocab_size: int | None,
    cache: Path,
    stop: Stop,
    instead: Vocabulary | None = None,
) -> Generator[PrepareEvent, None, TokenShards]:
    """Read a corpus and return its shards, from the cache if contents and settings are known.

    ``instead`` is used in place of the vocabulary that ``data`` and ``vocab_size`` name.

    Raises:
        InputError: If a path is missing or nothing in it is text, or the tokenizer is no use.
        ConfigError: If the tokenizer has another size than ``vocab_size``.
        IntegrityError: If a file changes while it is read, or the tokenizer is another.
        PreparationStoppedError: If ``stop`` turns true.
    """
    given = instead or given_vocabulary(data, vocab_size)
    files = yield from read_corpus(data, cache, stop)
    vocabulary = given or Vocabulary(vocab_size or choose_vocab_size(num_bytes_of(files)))
    vocabulary = vocabulary.fitted(files, data)
    directory = shards_directory(cache, files, vocabulary)
    if is_sealed(directory):
        yield Noticed(
            level="info", text=f"the tokens of this text are at hand ({directory.name[:8]})"
        )
        shards = TokenShards(directory)
        for text in shards.facts.get("warnings", ()):
            yield Noticed(level="warning", text=text)
        return shards
    remove_leftovers(directory.parent)
    facts: dict[str, object] = {"kind": "tokens", "asked_vocab_size": vocabulary.vocab_size}
    with sealed_directory(directory, facts) as temporary:
        if vocabulary.given:
            vocabulary.given.save(temporary)
        else:
            yield from learn_tokenizer(files, vocabulary.vocab_size, "qwen2", temporary, stop)
        facts |= yield from _tokenize(files, vocabulary, temporary, stop)
    return TokenShards(directory)


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
    ticks = Ticks()
    with sample.open("w", encoding="utf-8") as out:
        for number, (text, _) in enumerate(iter_corpus(files)):
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
    files: list[TextFile], vocabulary: Vocabulary, directory: Path, stop: Stop
) -> Generator[PrepareEvent, None, dict[str, object]]:
    tokenizer = Tokenizer.load(directory)
    writer = ShardWriter(directory, tokenizer.vocab_size, has_targets=files[0].is_chats)
    total = num_bytes_of(files)
    left_out = Unusable() if files[0].is_chats else BadLines()
    ticks, read = Ticks(), 0
    if isinstance(left_out, Unusable):
        documents = iter_conversations(files, tokenizer, vocabulary.longest_chat, left_out)
    else:
        documents = _iter_texts(files, tokenizer, left_out)
    for document in documents:
        writer.append(document.ids, document.source, document.is_target)
        read += document.num_bytes
        if stop():
            raise PreparationStoppedError
        if ticks.is_due():
            yield StageAdvanced(
                stage="tokenising", done=min(read, total), total=total, unit="bytes"
            )
    writer.close()
    warnings = list(left_out.judge(writer.num_documents))
    yield from warnings
    if not writer.num_documents:
        raise InputError("the files hold no letter of text", hint="name a folder with text files")
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
        "text_bytes": read,
        "vocab_size": tokenizer.vocab_size,
        "warnings": [warning.text for warning in warnings],
    }


def _iter_texts(
    files: list[TextFile], tokenizer: Tokenizer, bad_lines: BadLines
) -> Iterator[Document]:
    for texts, sources in _iter_text_batches(iter_corpus(files, bad_lines)):
        for text, ids, source in zip(texts, tokenizer.encode_batch(texts), sources, strict=True):
            yield Document(ids=tokenizer.document(ids), source=source, num_bytes=len(text.encode()))


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
