"""The verb tokenize: make a tokenizer, use it, and measure it."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import TypeAlias

from tissu_core import __version__
from tissu_core.checkpoint.tokenizer import load_tokenizer
from tissu_core.config.data import DataConfig
from tissu_core.config.tokenizer import TokenizerConfig
from tissu_core.data.corpus import (
    BadLines,
    PreparationStoppedError,
    PrepareEvent,
    iter_corpus,
    read_corpus,
)
from tissu_core.data.prepare import learn_tokenizer, num_bytes_of
from tissu_core.data.vocabulary import choose_vocab_size
from tissu_core.events.shared import Noticed, StageAdvanced
from tissu_core.runs.catalog import find_model
from tissu_core.runs.home import cache_directory
from tissu_core.runs.new_directory import new_directory
from tissu_core.runs.tokenize.figures import TokenizerFigures, TokenizerMeasured, written
from tissu_core.storage import sealed_directory
from tissu_core.text.splits import EXPORTABLE
from tissu_core.text.streaming import iter_decoded, iter_encoded, iter_pieces
from tissu_core.text.tokenizer import Tokenizer


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenizerLearned:
    """A tokenizer is on disk, sealed."""

    directory: str
    type: str
    split: str
    vocab_size: int
    is_exportable: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class TokensCompared:
    """The beginning of a text as a tokenizer cuts it, and the figures of all of it."""

    figures: TokenizerMeasured
    tokens: tuple[str, ...]


LearnEvent: TypeAlias = PrepareEvent | TokenizerLearned
MeasureEvent: TypeAlias = PrepareEvent | TokenizerMeasured


def learn(
    data: DataConfig, config: TokenizerConfig, out: Path, stop: Event
) -> Iterator[LearnEvent]:
    """Learn a tokenizer from a corpus into a new directory; the last event says what it is.

    Setting ``stop`` ends it with nothing written.

    Raises:
        ConfigError: If ``out`` is not empty.
        InputError: If nothing in the corpus is text.
    """
    out = new_directory(out)
    is_exportable = config.split in EXPORTABLE
    facts: dict[str, object] = {
        "kind": "tokenizer",
        "tissu": __version__,
        "type": config.type,
        "split": config.split,
        "is_exportable": is_exportable,
    }
    try:
        files = yield from read_corpus(data, cache_directory(), stop.is_set)
        vocab_size = config.vocab_size or choose_vocab_size(num_bytes_of(files))
        with sealed_directory(out, facts) as temporary:
            yield from learn_tokenizer(files, vocab_size, config.split, temporary, stop.is_set)
    except PreparationStoppedError:
        yield Noticed(level="info", text="stopped; nothing was saved")
        return
    yield TokenizerLearned(
        directory=str(out),
        type=config.type,
        split=config.split,
        vocab_size=Tokenizer.load(out).vocab_size,
        is_exportable=is_exportable,
    )


def encode(chunks: Iterable[str], given: str | None) -> Iterator[list[int]]:
    """Ids of a text that comes in chunks.

    ``given`` names a directory, a run or a stored model; the newest model if None.

    Raises:
        InputError: If there is no such tokenizer.
    """
    return iter_encoded(load_tokenizer(find_model(given)), chunks)


def decode(ids: Iterable[int], given: str | None) -> Iterator[str]:
    """The text of ids, in pieces.

    Raises:
        InputError: If there is no such tokenizer, or it has no such id.
    """
    return iter_decoded(load_tokenizer(find_model(given)), ids)


def measure(data: DataConfig, given: Sequence[str | None]) -> Iterator[MeasureEvent]:
    """Measure tokenizers on a corpus; one result each, at the end.

    Raises:
        InputError: If the text or a tokenizer cannot be read.
    """
    all_figures = _open(given)
    files = yield from read_corpus(data, cache_directory())
    total, done, num_documents = num_bytes_of(files), 0, 0
    bad_lines = BadLines()
    for text, _ in iter_corpus(files, bad_lines):
        for figures in all_figures:
            figures.add(text)
        num_documents += 1
        done += len(text.encode())
        yield StageAdvanced(stage="tokenising", done=min(done, total), total=total, unit="bytes")
    yield from bad_lines.judge(num_documents)
    yield from (figures.measured() for figures in all_figures)


def compare(
    chunks: Iterable[str], given: Sequence[str | None], num_characters: int
) -> list[TokensCompared]:
    """One text by several tokenizers: figures of all of it, tokens of its first characters.

    Raises:
        InputError: If a tokenizer cannot be read.
    """
    all_figures = _open(given)
    head = ""
    for piece in iter_pieces(chunks):
        head = head or piece[:num_characters]
        for figures in all_figures:
            figures.add(piece)
    return [
        TokensCompared(
            figures=figures.measured(),
            tokens=tuple(
                written(figures.tokenizer.pieces[id]) for id in figures.tokenizer.encode(head)
            ),
        )
        for figures in all_figures
    ]


def _open(given: Sequence[str | None]) -> list[TokenizerFigures]:
    paths = [find_model(name) for name in given]
    return [
        TokenizerFigures(name or str(path), load_tokenizer(path))
        for name, path in zip(given, paths, strict=True)
    ]
