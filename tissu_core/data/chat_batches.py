"""Conversations in windows: each whole in one window, several where they fit.

Positions and attention run on across the conversations of a window: each begins as it would after
others of a longer text. In a window ``~id`` is a token that is read and not learned.
"""

from bisect import bisect_left, insort
from collections import defaultdict
from collections.abc import Iterator, Sequence

import numpy as np

from tissu_core.data.batch_sizes import BatchSizes
from tissu_core.data.batches import BatchOrder, Part, Windows
from tissu_core.data.shards import Ids, Offsets, Spans, Targets


class ChatOrder(BatchOrder):
    """Windows of packed conversations, in a new seeded order each pass."""

    def __init__(
        self,
        tokens: Ids,
        targets: Targets,
        spans: Spans,
        *,
        context: int,
        sizes: BatchSizes,
        seed: int,
        first_step: int = 0,
        first_window: int = 0,
    ) -> None:
        super().__init__(
            tokens,
            spans,
            context=context,
            sizes=sizes,
            seed=seed,
            first_step=first_step,
            first_window=first_window,
        )
        self._targets = targets
        self._packed = pack(spans.lengths, context + 1)
        self.windows_per_pass = len(self._packed)

    def window(self, number: int) -> Windows:
        """The ``number``-th window since the start of training: (T+1,) ids and complements."""
        chosen = self._chosen(number)
        return _fill(self._tokens, self._targets, self._spans, chosen, self.context + 1)

    def _parts_of(self, number: int) -> list[Part]:
        starts, lengths = self._spans.starts, self._spans.lengths
        return [
            Part(int(starts[conversation]), int(starts[conversation]), int(lengths[conversation]))
            for conversation in self._chosen(number)
        ]

    def _chosen(self, number: int) -> list[int]:
        epoch, slot = divmod(number, self.windows_per_pass)
        _, _, windows = self._order(epoch)
        return self._packed[int(windows[slot])]


def iter_chat_windows(
    tokens: Ids,
    targets: Targets,
    spans: Spans,
    *,
    context: int,
    max_tokens: int,
    batch_sequences: int,
) -> Iterator[Windows]:
    """``spans`` in windows of context + 1 tokens, evenly thinned to ``max_tokens``."""
    packed = pack(spans.lengths, context + 1)
    wanted = min(len(packed), max(1, max_tokens // context))
    chosen = np.linspace(0, len(packed), wanted, endpoint=False).astype(int)
    for begin in range(0, wanted, batch_sequences):
        rows = [packed[index] for index in chosen[begin : begin + batch_sequences]]
        yield np.stack([_fill(tokens, targets, spans, row, context + 1) for row in rows])


def pack(lengths: Offsets, room: int) -> list[list[int]]:
    """Numbers of the conversations that share a window of ``room`` tokens: best fit, longest first.

    Source: Ding et al. 2024, Fewer truncations improve language modeling, arXiv:2404.10830.

    >>> pack(np.array([3, 6, 2, 4]), 8)
    [[1, 2], [3, 0]]
    """
    windows: list[list[int]] = []
    with_room: dict[int, list[list[int]]] = defaultdict(list)
    rooms: list[int] = []  # those that some window has left, rising
    for number in np.argsort(-lengths, kind="stable"):
        length = int(lengths[number])
        at = bisect_left(rooms, length)
        if at == len(rooms):
            window: list[int] = []
            windows.append(window)
            left = room
        else:
            left = rooms[at]
            window = with_room[left].pop()
            if not with_room[left]:
                del rooms[at]
        window.append(int(number))
        left -= length
        if not with_room[left]:
            insort(rooms, left)
        with_room[left].append(window)
    return windows


def _fill(tokens: Ids, targets: Targets, spans: Spans, chosen: Sequence[int], room: int) -> Windows:
    """Conversations end to end: (room,); what is left is read, after all else, and not learned."""
    window = np.full(room, -1, dtype=np.int64)
    position = 0
    for number in chosen:
        begin, length = int(spans.starts[number]), int(spans.lengths[number])
        part = slice(begin, begin + length)
        ids = tokens[part].astype(np.int64)
        window[position : position + length] = np.where(targets[part], ids, ~ids)
        position += length
    return window
