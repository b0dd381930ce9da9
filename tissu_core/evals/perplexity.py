"""What the tokens of documents cost a model, read in overlapping windows."""

import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from tissu_core.checkpoint.model_directory import LoadedModel
from tissu_core.errors import InputError
from tissu_core.models.finite import find_not_finite
from tissu_core.models.score import Score, target_nll

_TOKENS_AT_ONCE = {"cpu": 1 << 10, "cuda": 1 << 15, "mps": 1 << 13}
"""Short windows are read together: on a core, 4 layers of 128 read windows of 16 tokens 10 times
as fast as one by one, of 64 twice and of 256 1.3 times; 40 lines of 30 letters cost 135 million
parameters in 4 bits 2.1 s in place of 24. With more than 1,024 tokens nothing is faster."""
_POOL_TOKENS = 1 << 16
"""Documents whose windows are put together by length, before any of them is given back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoredText:
    """A document and what each of its tokens costs, behind the one that begins a text.

    Shapes: ids, is_scored and nll (1 + N,); nll in nats, 0 where a token is not scored.
    """

    text: str
    file: int
    """The number of its file."""
    number: int
    """Its own in that file, from 1."""
    ids: npt.NDArray[np.int64]
    is_scored: npt.NDArray[np.bool_]
    """The first and control tokens are read and not scored."""
    nll: npt.NDArray[np.float32]

    @property
    def score(self) -> Score:
        """The bytes are the text's own, whatever a tokenizer adds (a first space) or drops."""
        nll, num_tokens = float(self.nll.sum(dtype=np.float64)), int(self.is_scored.sum())
        return Score(nll, num_tokens, len(self.text.encode()))


class Window(NamedTuple):
    """Tokens ``begin`` to ``end`` are read, those behind ``scored`` predicted the first time."""

    begin: int
    scored: int
    end: int


def iter_windows(num_ids: int, context: int, stride: int) -> Iterator[Window]:
    """Windows of up to ``context`` + 1 ids that score every id but the first exactly once.

    >>> [tuple(window) for window in iter_windows(5, context=3, stride=2)]
    [(0, 0, 3), (2, 3, 4)]
    """
    begin, scored = 0, 0
    last = num_ids - 1
    while scored < last:
        end = min(begin + context, last)
        yield Window(begin, scored, end)
        scored = end
        begin = min(begin + stride, last)


class _Part(NamedTuple):
    """What of a document is read at once."""

    document: ScoredText
    window: Window

    @property
    def num_ids(self) -> int:
        return self.window.end + 1 - self.window.begin

    @property
    def targets(self) -> npt.NDArray[np.int64]:
        """The places of those tokens in the document that are scored here."""
        first = self.window.scored + 1
        return first + np.flatnonzero(self.document.is_scored[first : self.window.end + 1])

    @property
    def row(self) -> npt.NDArray[np.int64]:
        """All that is read, (T+1,); what is not scored, as complements."""
        row = ~self.document.ids[self.window.begin : self.window.end + 1]
        row[self.targets - self.window.begin] ^= -1
        return row


class TextScorer:
    """Reads documents with a model, each after the token that begins a text.

    ``stride`` is how far windows move: with the whole context none overlap; a smaller one lets
    each token read at least ``context - stride`` others, at the cost of more windows.
    """

    def __init__(self, loaded: LoadedModel, stride: int) -> None:
        self._loaded, self._stride = loaded, stride
        self._token_bytes = np.array(loaded.tokenizer.token_bytes())
        self.num_read = 0
        """Tokens, those among them that were read again."""
        self.seconds = 0.0
        """That the model took for them."""

    def iter_scored(self, documents: Iterable[tuple[str, int]]) -> Iterator[ScoredText | int]:
        """Every document (text and number of its file) in order, scored.

        Numbers between them are the bytes that were read since the last one.

        Raises:
            InputError: If what the model predicts is no number; names the weight that is none.
        """
        if found := find_not_finite(self._loaded.model):
            raise self._useless(found)
        tokenizer, numbers = self._loaded.tokenizer, Counter[int]()
        pool: list[ScoredText] = []
        size = 0
        for text, file in documents:
            numbers[file] += 1
            ids = np.array([tokenizer.start_id, *tokenizer.encode(text)], dtype=np.int64)
            is_scored, nll = self._token_bytes[ids] > 0, np.zeros(len(ids), dtype=np.float32)
            is_scored[0] = False
            pool.append(
                ScoredText(
                    text=text,
                    file=file,
                    number=numbers[file],
                    ids=ids,
                    is_scored=is_scored,
                    nll=nll,
                )
            )
            size += len(ids)
            if size >= _POOL_TOKENS:
                yield from self._score(pool)
                yield from pool
                pool, size = [], 0
        yield from self._score(pool)
        yield from pool

    def _score(self, pool: Sequence[ScoredText]) -> Iterator[int]:
        """Fill in the costs; gives the bytes of each batch."""
        context = self._loaded.model.config.max_position_embeddings
        parts = [
            _Part(document, window)
            for document in pool
            for window in iter_windows(len(document.ids), context, self._stride)
        ]
        for batch in self._batches(sorted(parts, key=lambda part: -part.num_ids)):
            num_bytes = 0
            for part, nll in zip(batch, self._read(batch), strict=True):
                part.document.nll[part.targets] = nll
                num_bytes += int(self._token_bytes[part.document.ids[part.targets]].sum())
            yield num_bytes

    def _batches(self, parts: Sequence[_Part]) -> Iterator[list[_Part]]:
        """Parts, the longest first, in batches that are filled up behind the shorter rows.

        No token sees what is behind it; only where a text's length says how all of it is rotated
        must rows be equally long.
        """
        model = self._loaded.model
        most, batch = _TOKENS_AT_ONCE[model.device.type], list[_Part]()
        for part in parts:
            longest = batch[0].num_ids if batch else part.num_ids
            is_other = model.rotates_by_length and part.num_ids != longest
            if batch and (is_other or longest * (len(batch) + 1) > most):
                yield batch
                batch = []
            batch.append(part)
        if batch:
            yield batch

    def _useless(self, why: str) -> InputError:
        return InputError(
            f"{self._loaded.path} predicts nothing: {why}",
            hint='tissu inspect weights "**" shows where; use another checkpoint',
        )

    def _read(self, batch: Sequence[_Part]) -> list[npt.NDArray[np.float32]]:
        """What the targets of each part cost."""
        model = self._loaded.model
        rows = np.full((len(batch), batch[0].num_ids), ~0)
        for row, part in zip(rows, batch, strict=True):
            row[: part.num_ids] = part.row
        began = time.perf_counter()
        nll = target_nll(model, torch.from_numpy(rows).to(model.device)).float().cpu().numpy()
        self.seconds += time.perf_counter() - began
        self.num_read += sum(part.num_ids - 1 for part in batch)
        if not np.isfinite(nll).all():
            raise self._useless("what it computes of this text overflows")
        return np.split(nll, np.cumsum([len(part.targets) for part in batch[:-1]]))
