"""A model that is asked the items of a suite."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import takewhile
from typing import Protocol

import torch
from torch.nn.utils.rnn import pad_sequence

from tissu_core.config.decoding import DecodingConfig
from tissu_core.decoding.generate import generate_all
from tissu_core.decoding.reply import Reply
from tissu_core.evals.suites.prompts import behind, chat_prompt, plain_context, stops
from tissu_core.evals.suites.suite import Item, Suite
from tissu_core.events.replies import GenerationFinished
from tissu_core.models.decoder import Decoder
from tissu_core.models.score import sequence_nll
from tissu_core.text.conversation import encode_chat
from tissu_core.text.tokenizer import Tokenizer

_READ_TOKENS = 2048
"""Padding included: packed weights are unpacked once for as many."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What came of one item, with so many of the suite's examples before it.

    ``likelihoods`` are those of its choices in nats, each of so many UTF-8 bytes as ``sizes`` has,
    or ``reply`` is what was written; with neither, the item does not fit the model's context.
    """

    item: Item
    shots: int
    likelihoods: tuple[float, ...] = ()
    sizes: tuple[int, ...] = ()
    reply: str | None = None

    @property
    def is_answered(self) -> bool:
        """Whether the model could read it."""
        return bool(self.likelihoods) or self.reply is not None


class Subject(Protocol):
    """Who is asked: a model, or in a test one that knows or guesses. Items come back in any order.

    ``is_chat`` puts them through the chat template.
    """

    def weigh(self, suite: Suite, items: Sequence[Item], *, is_chat: bool) -> Iterator[Asked]:
        """The log-likelihood of each choice of each item."""

    def write(self, suite: Suite, items: Sequence[Item], *, is_chat: bool) -> Iterator[Asked]:
        """The likeliest reply to each item, token by token."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSubject:
    """A model with its tokenizer, which writes ``batch_size`` replies at once."""

    model: Decoder
    tokenizer: Tokenizer
    end_ids: frozenset[int]
    batch_size: int = 8

    @property
    def _context(self) -> int:
        return self.model.config.max_position_embeddings

    def weigh(self, suite: Suite, items: Sequence[Item], *, is_chat: bool) -> Iterator[Asked]:
        """Each choice is read behind the prompt; what all choices begin with is not counted."""
        waiting: list[tuple[Asked, list[torch.Tensor]]] = []
        for item in items:
            shots, rows = self._fit_choices(suite, item, is_chat=is_chat)
            if not rows:
                yield Asked(item, shots)
                continue
            sizes = tuple(self._num_bytes(ids[first:]) for ids, first in rows)
            waiting.append((Asked(item, shots, sizes=sizes), [_window(*row) for row in rows]))
            if sum(len(row) for _, rows in waiting for row in rows) >= _READ_TOKENS:
                yield from self._weigh(waiting)
                waiting = []
        yield from self._weigh(waiting)

    def _num_bytes(self, ids: Sequence[int]) -> int:
        """Of the text they stand for; one at the least, for an unknown token may stand for none."""
        return max(1, sum(len(self.tokenizer.piece(id)) for id in ids))

    def _weigh(self, waiting: Sequence[tuple[Asked, list[torch.Tensor]]]) -> Iterator[Asked]:
        windows = [window for _, rows in waiting for window in rows]
        found: list[float] = []
        while len(found) < len(windows):
            rows = self._next_rows(windows[len(found) :])
            # Behind a shorter row lies what is read and not predicted; no earlier token sees it.
            batch = pad_sequence(rows, batch_first=True, padding_value=~0)
            found += sequence_nll(self.model, batch.to(self.model.device)).tolist()
        values = iter(found)
        for asked, own in waiting:
            yield replace(asked, likelihoods=tuple(-next(values) for _ in own))

    def _next_rows(self, windows: list[torch.Tensor]) -> list[torch.Tensor]:
        """As many as are read at once, one at least."""
        if self.model.rotates_by_length:  # padding would change a row
            return windows[:1]
        longest = number = 0
        for window in windows:
            longest = max(longest, len(window))
            if number and (number + 1) * longest > _READ_TOKENS:
                break
            number += 1
        return windows[:number]

    def _fit_choices(
        self, suite: Suite, item: Item, *, is_chat: bool
    ) -> tuple[int, list[tuple[list[int], int]]]:
        """Ids of each choice behind the prompt, and how many of them all have; fewer examples."""
        for shots in range(len(suite.shots), -1, -1):
            if is_chat:
                prompt = encode_chat(self.tokenizer, chat_prompt(suite, item, shots))
                rows = [
                    [*prompt, *self.tokenizer.encode(choice, is_start=False)]
                    for choice in item.choices
                ]
            else:
                before = plain_context(suite, shots)
                texts = [before + behind(item.prompt, choice) for choice in item.choices]
                rows = [self._ids(text) for text in texts]
            if max(map(len, rows)) <= self._context + 1:
                shared = sum(1 for _ in takewhile(_is_one, zip(*rows, strict=False)))
                # One that goes on with another leaves that one nothing: its last token counts.
                shared = min(shared, min(map(len, rows)) - 1)
                return shots, [(row, shared) for row in rows]
        return 0, []

    def write(self, suite: Suite, items: Sequence[Item], *, is_chat: bool) -> Iterator[Asked]:
        """Greedily, in the one decode loop."""
        config = DecodingConfig(
            temperature=0.0, max_tokens=suite.max_tokens, stop=stops(suite, is_chat=is_chat)
        )
        asked: list[tuple[int, list[int]]] = []
        for item in items:
            shots, ids = self._fit_prompt(suite, item, is_chat=is_chat)
            asked.append((shots, ids))
            if not ids:
                yield Asked(item, shots)
        replies = (
            Reply(
                self.tokenizer,
                ids,
                config,
                self._context,
                end_ids=self.end_ids,
                index=index,
                is_healed=not is_chat,
            )
            for index, (_, ids) in enumerate(asked)
            if ids
        )
        for reply, event in generate_all(self.model, replies, batch_size=self.batch_size):
            if isinstance(event, GenerationFinished):
                shots, _ = asked[reply.index]
                yield Asked(items[reply.index], shots, reply=event.text)

    def _fit_prompt(self, suite: Suite, item: Item, *, is_chat: bool) -> tuple[int, list[int]]:
        """Ids of the prompt with room for the longest reply; fewer examples make room."""
        for shots in range(len(suite.shots), -1, -1):
            if is_chat:
                ids = encode_chat(self.tokenizer, chat_prompt(suite, item, shots))
            else:
                ids = self._ids(plain_context(suite, shots) + item.prompt)
            if len(ids) + suite.max_tokens <= self._context:
                return shots, ids
        return 0, []

    def _ids(self, text: str) -> list[int]:
        return [self.tokenizer.start_id, *self.tokenizer.encode(text)]


def _is_one(column: tuple[int, ...]) -> bool:
    return len({*column}) == 1


def _window(ids: list[int], first: int) -> torch.Tensor:
    """A row whose ids from ``first`` on are predicted, and the others only read."""
    return torch.tensor([id if n >= first else ~id for n, id in enumerate(ids)])
