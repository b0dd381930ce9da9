"""Rows that a model reads together."""

from collections.abc import Sequence
from typing import Generic, TypeVar

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from tissu_core.decoding.row import Row
from tissu_core.layers.kv_cache import KVCache
from tissu_core.models.decoder import Decoder

AnyRow = TypeVar("AnyRow", bound=Row)
SHORT = 64
"""Prompts up to this length are read together: on a CPU, 8 of 5 to 10 tokens in a third of the time
of one after the other, 8 of 21 to 60 in 0.9 of it. Longer ones would save nothing, and a mask of
each row would take memory by the square of the longest."""


class Batch(Generic[AnyRow]):
    """Rows of unequal length that end together, and one cache for them.

    The cache is as long as the longest row; the others are padded on the left.
    """

    def __init__(self, model: Decoder) -> None:
        self.rows: list[AnyRow] = []
        self.logits = torch.empty(0)
        """Of each row's next token: (B, V), fp32 on the CPU."""
        self._model = model
        self._cache = model.new_cache()

    def join(self, rows: Sequence[AnyRow]) -> None:
        """Read the prompts of new rows, the short ones together."""
        short = [row for row in rows if len(row.history) <= SHORT]
        long = [[row] for row in rows if len(row.history) > SHORT]
        for group in [short, *long] if short else long:
            self._read_prompts(group)

    def _read_prompts(self, rows: list[AnyRow]) -> None:
        cache = self._model.new_cache()
        logits = self._read(rows, cache)
        if self.rows:
            self._cache.join(cache)
            logits = torch.cat([self.logits, logits])
        else:
            self._cache = cache
        self.rows, self.logits = self.rows + rows, logits

    def step(self) -> None:
        """Let the rows go that are done, and read the newest token of the others."""
        staying = [index for index, row in enumerate(self.rows) if not row.is_done]
        if len(staying) < len(self.rows):
            self.rows = [self.rows[index] for index in staying]
            read = max((len(row.history) for row in self.rows), default=1) - 1
            self._cache.keep(staying, read)
        if self.rows:
            if self._model.outgrows(self._cache, 1):
                self._cache = self._model.new_cache()
            self.logits = self._read(self.rows, self._cache)

    def _read(self, rows: Sequence[AnyRow], cache: KVCache) -> Tensor:
        """Read what the cache does not hold yet; logits after the last token of each row."""
        lengths = torch.tensor([len(row.history) for row in rows])
        new = int(lengths.max()) - cache.length
        ids = pad_sequence(
            [row.history[-new:] for row in rows], batch_first=True, padding_side="left"
        )
        padding = lengths.max() - lengths
        device = self._model.device
        logits: Tensor = self._model(
            ids.to(device),
            cache,
            last_only=True,
            padding=padding.to(device) if padding.any() else None,
        )
        return logits[:, -1].float().cpu()
