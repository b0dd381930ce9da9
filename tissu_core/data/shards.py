"""Tokens on disk, read through a memory map, so that a corpus may be larger than memory.

A sealed directory: ``tokens.bin`` (little-endian uint16 or uint32; each document led by the
end-of-text token), ``documents.bin`` (int64 pairs: first token, number of the source file),
``sources.json`` (paths and hashes), and the tokenizer's files. Of conversations, ``targets.bin``
(uint8) has a 1 for each token that is to be learned; of text all are.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tissu_core.storage import check_sizes, read_json, read_manifest

TOKENS_FILE = "tokens.bin"
DOCUMENTS_FILE = "documents.bin"
SOURCES_FILE = "sources.json"
TARGETS_FILE = "targets.bin"

Ids = npt.NDArray[np.integer[Any]]
Offsets = npt.NDArray[np.int64]
Targets = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Spans:
    """Documents as spans of the token file: tokens[starts[i] : starts[i] + lengths[i]]."""

    starts: Offsets
    lengths: Offsets

    @property
    def num_tokens(self) -> int:
        """Tokens in all spans."""
        return int(self.lengths.sum())


class TokenShards:
    """A tokenised corpus."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.facts = read_manifest(directory)
        check_sizes(directory, self.facts)
        dtype = np.dtype(self.facts["dtype"]).newbyteorder("<")
        self.tokens: Ids = np.memmap(directory / TOKENS_FILE, dtype=dtype, mode="r")
        pairs = np.fromfile(directory / DOCUMENTS_FILE, dtype="<i8").reshape(-1, 2)
        starts = pairs[:, 0].astype(np.int64)
        ends = np.append(starts[1:], len(self.tokens))
        self.documents = Spans(starts, ends - starts)
        self._sources = pairs[:, 1]
        self.targets: Targets | None = None
        if TARGETS_FILE in self.facts["files"]:
            self.targets = np.memmap(directory / TARGETS_FILE, dtype=np.uint8, mode="r")

    def paths_of(self, starts: Offsets) -> list[str]:
        """Source files of the documents that begin at these tokens, each once."""
        documents = np.searchsorted(self.documents.starts, starts)
        return [self._paths[source] for source in np.unique(self._sources[documents])]

    @cached_property
    def _paths(self) -> list[str]:
        paths: list[str] = read_json(self.directory / SOURCES_FILE)["paths"]
        return paths

    def file_of(self, document: int) -> tuple[str, Offsets]:
        """The source of the document that begins at this token, and where those from it begin.

        Only of those up to this document, the first of the file first.
        """
        index = int(np.searchsorted(self.documents.starts, document))
        source = self._sources[index]
        before = self._sources[: index + 1] == source
        return self._paths[source], self.documents.starts[: index + 1][before]

    def split(self, validation_fraction: float) -> tuple[Spans, Spans]:
        """Training and validation spans, disjoint; validation is whole documents where it can be.

        Documents are drawn by a fixed seed until the share is reached. When none fits (one long
        document), the end of the longest is held out; conversations are never cut.
        """
        lengths = self.documents.lengths
        wanted = max(1, round(int(lengths.sum()) * validation_fraction))
        chosen = np.zeros(len(lengths), dtype=bool)
        total = 0
        for index in np.random.Generator(np.random.PCG64(0)).permutation(len(lengths)):
            if total < wanted and total + lengths[index] <= 1.25 * wanted:
                chosen[index] = True
                total += int(lengths[index])
        starts = self.documents.starts
        if self.targets is not None and not chosen.any():
            chosen[lengths.argmin()] = True
        elif self.targets is None and total < wanted / 2:
            return self._cut_longest(wanted)
        return Spans(starts[~chosen], lengths[~chosen]), Spans(starts[chosen], lengths[chosen])

    def num_learned(self, spans: Spans) -> int | None:
        """How many tokens of these whole conversations are to be learned; None of text."""
        if self.targets is None:
            return None
        counts = np.add.reduceat(self.targets, self.documents.starts, dtype=np.int64)
        return int(counts[np.isin(self.documents.starts, spans.starts)].sum())

    def _cut_longest(self, wanted: int) -> tuple[Spans, Spans]:
        starts, lengths = self.documents.starts, self.documents.lengths.copy()
        longest = int(lengths.argmax())
        held = min(max(2, wanted), int(lengths[longest]) // 2)
        lengths[longest] -= held
        end = np.array([starts[longest] + lengths[longest]])
        return Spans(starts, lengths), Spans(end, np.array([held]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A document as ids."""

    ids: list[int]
    source: int
    """The number of its file."""
    num_bytes: int
    is_target: list[bool] | None = None
    """Which ids are to be learned; None is all."""
    where: str = ""
    """The line of its file, of a conversation."""


class ShardWriter:
    """Writes documents of ids into the files of a token directory."""

    def __init__(self, directory: Path, vocab_size: int, *, has_targets: bool = False) -> None:
        self.dtype = np.dtype("uint16" if vocab_size <= 1 << 16 else "uint32")
        self._tokens = (directory / TOKENS_FILE).open("wb")
        self._documents = (directory / DOCUMENTS_FILE).open("wb")
        self._targets = (directory / TARGETS_FILE).open("wb") if has_targets else None
        self.num_tokens = 0
        self.num_documents = 0

    def append(
        self, ids: Sequence[int], source: int, is_target: Sequence[bool] | None = None
    ) -> None:
        """Add a document."""
        self._documents.write(np.array([self.num_tokens, source], dtype="<i8").tobytes())
        self._tokens.write(np.array(ids, dtype=self.dtype.newbyteorder("<")).tobytes())
        if self._targets is not None:
            self._targets.write(np.array(is_target, dtype=np.uint8).tobytes())
        self.num_tokens += len(ids)
        self.num_documents += 1

    def close(self) -> None:
        """Close the files."""
        for file in (self._tokens, self._documents, self._targets):
            if file is not None:
                file.close()
