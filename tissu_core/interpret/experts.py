"""Where the routers of a mixture of experts send tokens.

Sources: Shazeer et al. 2017, arXiv:1701.06538; that experts come to know single tokens: Jiang et
al. 2024, arXiv:2401.04088, section 5.
"""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from tissu_core.models.decoder import Decoder
from tissu_core.models.observe import observe


@dataclass(frozen=True, slots=True)
class Routes:
    """The choice of each router for each token.

    Shapes: ids (N,); experts and weights (L, N, k), the likeliest expert first.
    """

    ids: Tensor
    experts: Tensor
    weights: Tensor
    num_experts: int

    def counts(self, layer: int) -> Tensor:
        """How often each expert is asked: (E,)."""
        return self.experts[layer].flatten().bincount(minlength=self.num_experts)

    def mean_weights(self, layer: int) -> Tensor:
        """What each expert's answers are multiplied by, on average where it is asked: (E,)."""
        total = torch.zeros(self.num_experts, dtype=torch.float64)
        total.index_add_(0, self.experts[layer].flatten(), self.weights[layer].flatten().double())
        return total / self.counts(layer).clamp(min=1)

    def by_token(self, layer: int) -> tuple[Tensor, Tensor, Tensor]:
        """Distinct ids (U,), how often each is read (U,), and which experts it asked (U, E)."""
        ids, where, times = torch.unique(self.ids, return_inverse=True, return_counts=True)
        cells = where[:, None] * self.num_experts + self.experts[layer]
        found = cells.flatten().bincount(minlength=len(ids) * self.num_experts)
        return ids, times, found.view(len(ids), self.num_experts)


@dataclass(frozen=True, slots=True)
class Favourite:
    """A token that asks an expert more often than others do."""

    id: int
    count: int
    times_read: int
    times_chance: float


@torch.inference_mode()
def iter_routes(model: Decoder, rows: Iterable[Tensor]) -> Iterator[Routes]:
    """The routes of each row, all but its first token's: (1, T) of ids."""
    config = model.config
    seen: dict[int, Tensor] = {}
    names = {f"model.layers.{index}.mlp.gate": index for index in range(config.num_hidden_layers)}
    watched = {name: partial(_keep, seen, index) for name, index in names.items()}
    for row in rows:
        with observe(model, watched):
            model.model(row)
        scores = torch.stack([seen[index][1:] for index in names.values()]).cpu().float()
        best, experts = scores.topk(config.num_experts_per_tok)
        yield Routes(row[0, 1:].cpu(), experts, best.softmax(-1), config.num_local_experts)


def _keep(seen: dict[int, Tensor], index: int, scores: Tensor) -> None:
    seen[index] = scores


def joined(routes: list[Routes]) -> Routes:
    """The routes of all rows as one."""
    return Routes(
        torch.cat([each.ids for each in routes]),
        torch.cat([each.experts for each in routes], 1),
        torch.cat([each.weights for each in routes], 1),
        routes[0].num_experts,
    )


def balance(counts: Tensor) -> float:
    """Entropy of how often experts are asked, as a share of the largest there is."""
    shares = counts.double() / counts.sum()
    entropy = float(-(shares * shares.clamp(min=1e-300).log()).sum())
    return max(0.0, entropy / math.log(len(counts))) if len(counts) > 1 else 1.0


def favourites(routes: Routes, layer: int, most: int) -> list[list[Favourite]]:
    """For each expert the tokens that ask it most above chance, at most so many.

    Chance is the expert's share of all tokens. Tokens are in the order of how many standard
    deviations of a binomial their count is above that, so that neither rare nor common ones win
    by being so; one that is read once tells nothing.
    """
    ids, times, found = routes.by_token(layer)
    chance = routes.counts(layer).double() / len(routes.ids)
    share = found.double() / times[:, None]
    spread = (chance * (1 - chance) / times[:, None]).sqrt().clamp(min=1e-12)
    surprise = ((share - chance) / spread).masked_fill((times < 2)[:, None], -1.0)
    best = surprise.topk(min(most, len(ids)), dim=0)
    return [
        [
            Favourite(
                int(ids[place]),
                int(found[place, expert]),
                int(times[place]),
                float(share[place, expert] / chance[expert]),
            )
            for above, place in zip(*_column(best.values, best.indices, expert), strict=True)
            if above > 1
        ]
        for expert in range(routes.num_experts)
    ]


def _column(values: Tensor, indices: Tensor, at: int) -> tuple[list[float], list[int]]:
    return values[:, at].tolist(), indices[:, at].tolist()


def pairs(routes: Routes, layer: int) -> list[tuple[int, int, int, float]]:
    """Two experts, the tokens that ask both, and that over chance; the most surprising first.

    Chance is N times both experts' shares of the tokens, and what makes it 1 where all pairs are
    equally likely: a token never asks the same expert twice.
    """
    size, chosen = routes.num_experts, routes.experts.shape[-1]
    if chosen < 2:
        return []
    asked = torch.zeros(len(routes.ids), size, dtype=torch.float64)
    asked.scatter_(1, routes.experts[layer], 1.0)
    together = asked.T @ asked
    alone = together.diagonal()
    even = chosen * (size - 1) / ((chosen - 1) * size)
    times = together * len(routes.ids) * even / (alone[:, None] * alone).clamp(min=1)
    found = [
        (first, second, int(together[first, second]), float(times[first, second]))
        for first in range(size)
        for second in range(first + 1, size)
        if together[first, second]
    ]
    return sorted(found, key=_surprise, reverse=True)


def _surprise(pair: tuple[int, int, int, float]) -> float:
    """The log-likelihood ratio of a pair's count to chance; below 0 where it is the smaller."""
    count, times = pair[2], pair[3]
    ratio = count * math.log(times) - count * (1 - 1 / times)
    return math.copysign(ratio, times - 1)
