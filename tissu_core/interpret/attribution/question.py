"""A prompt and what is to come after it, with any of the prompt's parts away."""

from collections.abc import Generator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from tissu_core.models.decoder import Decoder
from tissu_core.models.loss import linear_nll

_BATCH_BYTES = 1 << 30
"""About what a batch's activations take, all of which the way back keeps."""


@dataclass(frozen=True, slots=True)
class Question:
    """How likely ``target`` is after ``ids``, where parts of these may be the ``neutral`` token.

    What is no part, such as the token that begins a text, is always there. A part that is away has
    a neutral token for each of its own, so that all others stay where they were.
    """

    model: Decoder
    ids: Sequence[int]
    target: Sequence[int]
    neutral: int | None
    """None where no part is taken away by its id."""
    parts: Sequence[range]
    """Places in ``ids``."""

    def log_probs(self, ids: Tensor) -> Tensor:
        """Log p of all target tokens in their order after each row: (N, T) to (N,), in fp32.

        Each is read behind those before it, whatever the model would have written.
        """
        inputs = self.with_target(ids)
        hidden = self.model.model(inputs)[:, -len(self.target) :]
        targets = torch.tensor(self.target, device=ids.device).repeat(len(ids))
        softcap = self.model.config.final_logit_softcapping
        nll = linear_nll(hidden.flatten(0, 1), self.model.head_weight(), targets, softcap)
        return -nll.view(len(ids), -1).sum(1)

    def with_target(self, ids: Tensor) -> Tensor:
        """What is read to score the target: rows, then all of it but its last token."""
        begun = torch.tensor(self.target[:-1], dtype=torch.long, device=ids.device)
        return torch.cat([ids, begun.expand(len(ids), -1)], 1)

    def rows(self, kept: Tensor) -> Tensor:
        """The ids with only these parts there: (N, P) bools to (N, T)."""
        device = self.model.device
        is_kept = torch.ones(len(kept), len(self.ids), dtype=torch.bool)
        for number, part in enumerate(self.parts):
            is_kept[:, part.start : part.stop] = kept[:, number, None]
        assert self.neutral is not None
        ids = torch.tensor(self.ids, device=device)
        return torch.where(is_kept.to(device), ids, self.neutral)

    @torch.no_grad()
    def answers(self, kept: Tensor) -> Generator[int, None, Tensor]:
        """F of each set of parts that are there: (N, P) bools to (N,) in fp64 on the CPU.

        Yields how many were read so far.
        """
        found, done = [], 0
        for rows in torch.split(kept, self.at_once):
            found.append(self.log_probs(self.rows(rows)).double().cpu())
            done += len(rows)
            yield done
        return torch.cat(found)

    @property
    def at_once(self) -> int:
        """Rows of a batch."""
        config = self.model.config
        active = config.num_experts_per_tok or 1
        numbers = 16 * config.hidden_size + 6 * active * config.intermediate_size
        row = 4 * config.num_hidden_layers * numbers * (len(self.ids) + len(self.target))
        return max(1, _BATCH_BYTES // row)

    @property
    def num_parts(self) -> int:
        """How many parts may be away."""
        return len(self.parts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Attribution:
    """What each part of a question adds to its answer, in nats."""

    values: Sequence[float]
    errors: Sequence[float]
    """Standard errors; 0 where nothing is left to chance."""
    whole: float
    """f with every part there."""
    empty: float
    """f with none."""
    readings: int
    is_exact: bool
    fit: float | None = None

    @property
    def gap(self) -> float:
        """What the values' sum is off ``whole - empty``, as a share of that."""
        expected = self.whole - self.empty
        missing = abs(sum(self.values) - expected)
        return missing / max(abs(expected), _SMALLEST)


_SMALLEST = 1e-2
"""Nats, below which a difference is no measure for what is off."""


def all_subsets(parts: int) -> Tensor:
    """Every set of parts, by the bits of its number: (2^parts, parts) bools."""
    numbers = torch.arange(1 << parts)
    return (numbers[:, None] >> torch.arange(parts) & 1).bool()
