"""Shapley values: what each part adds on average over all orders in which parts can come.

Sources: Shapley 1953; Lundberg & Lee 2017, arXiv:1705.07874; of sampled orders Castro et al. 2009,
doi:10.1016/j.cor.2008.04.004, in pairs of an order and its reverse (Mitchell et al. 2022,
arXiv:2104.12199).
"""

from collections.abc import Generator
from math import factorial

import torch
from torch import Tensor

from tissu_core.interpret.attribution.question import Attribution, Question, all_subsets

FEWEST_PAIRS = 2
"""Of which there is a standard error."""


def iter_shapley(question: Question, samples: int, seed: int) -> Generator[int, None, Attribution]:
    """The value of each part, exact where ``samples`` readings are enough for all sets of parts.

    Else of as many random orders; whatever these are, values sum to f(all) - f(none). Yields how
    many readings are done.
    """
    if 1 << question.num_parts <= samples:
        return (yield from _enumerated(question))
    return (yield from _sampled(question, samples, seed))


def readings_of(parts: int, samples: int) -> int:
    """How many readings there will be at most."""
    if 1 << parts <= samples:
        return 1 << parts
    return 2 * _num_pairs(parts, samples) * (parts - 1) + 2


def _num_pairs(parts: int, samples: int) -> int:
    return max(FEWEST_PAIRS, (samples - 2) // (2 * (parts - 1)))


def _enumerated(question: Question) -> Generator[int, None, Attribution]:
    parts = question.num_parts
    kept = all_subsets(parts)
    answers = yield from question.answers(kept)
    sizes = kept.sum(1)
    weights = torch.tensor(
        [factorial(s) * factorial(parts - s - 1) / factorial(parts) for s in range(parts)],
        dtype=torch.float64,
    )
    values = []
    for part in range(parts):
        without = (~kept[:, part]).nonzero().flatten()
        gains = answers[without + (1 << part)] - answers[without]
        values.append(float(gains @ weights[sizes[without]]))
    return Attribution(
        values=values,
        errors=[0.0] * parts,
        whole=float(answers[-1]),
        empty=float(answers[0]),
        readings=len(answers),
        is_exact=True,
    )


def _sampled(question: Question, samples: int, seed: int) -> Generator[int, None, Attribution]:
    parts, pairs = question.num_parts, _num_pairs(question.num_parts, samples)
    generator = torch.Generator().manual_seed(seed)
    orders = torch.stack([torch.randperm(parts, generator=generator) for _ in range(pairs)])
    orders = torch.stack([orders, orders.flip(1)], 1)  # (pairs, 2, P)
    ranks = orders.argsort(-1)
    kept = ranks[:, :, None] < torch.arange(parts + 1)[:, None]  # (pairs, 2, P + 1, P)
    distinct, where = torch.unique(kept.flatten(0, 2).to(torch.uint8), dim=0, return_inverse=True)
    answers = yield from question.answers(distinct.bool())
    along = answers[where].view(pairs, 2, parts + 1)
    gains = along.diff(dim=-1).gather(-1, ranks).mean(1)  # (pairs, P), of each part
    return Attribution(
        values=_tuple(gains.mean(0)),
        errors=_tuple(gains.std(0) / pairs**0.5),
        whole=float(along[0, 0, -1]),
        empty=float(along[0, 0, 0]),
        readings=len(distinct),
        is_exact=False,
    )


def _tuple(values: Tensor) -> tuple[float, ...]:
    return tuple(values.tolist())
