"""LIME: a line through the answers to a prompt with parts away, the nearer the more they count.

Source: Ribeiro et al. 2016, arXiv:1602.04938, with its kernel for text; the fit is of least
squares, without its ridge, which would shrink each value.
"""

from collections.abc import Generator

import torch
from torch import Tensor

from tissu_core.interpret.attribution.question import Attribution, Question, all_subsets

_WIDTH = 25.0
"""Of the kernel, in hundredths of the distance; the paper's for text."""
_PER_VALUE = 4
"""Readings for each number that is fitted, at least."""


def iter_lime(question: Question, samples: int, seed: int) -> Generator[int, None, Attribution]:
    """The slope of each part; they sum to f(all) - f(none) only as far as f is such a line.

    Of all sets of parts where ``samples`` readings are enough, else of random ones: their sizes
    are spread evenly. Yields how many readings are done.
    """
    parts = question.num_parts
    is_exact = 1 << parts <= samples
    kept = all_subsets(parts) if is_exact else _random_sets(parts, samples, seed)
    answers = yield from question.answers(kept)
    values, errors, fit = _fitted(kept, answers)
    return Attribution(
        values=values.tolist(),
        errors=[0.0] * parts if is_exact else errors.tolist(),
        whole=float(answers[-1]),
        empty=float(answers[0]),
        readings=len(answers),
        is_exact=is_exact,
        fit=fit,
    )


def readings_of(parts: int, samples: int) -> int:
    """How many readings there will be."""
    return 1 << parts if 1 << parts <= samples else max(samples, _PER_VALUE * (parts + 1))


def _random_sets(parts: int, samples: int, seed: int) -> Tensor:
    """None, sets of random sizes, all."""
    generator = torch.Generator().manual_seed(seed)
    count = readings_of(parts, samples)
    sizes = torch.randint(0, parts, (count, 1), generator=generator)
    sizes[0], sizes[-1] = 0, parts
    return torch.rand(count, parts, generator=generator).argsort(1).argsort(1) < sizes


def _fitted(kept: Tensor, answers: Tensor) -> tuple[Tensor, Tensor, float]:
    """Slopes (P,), their standard errors by White's estimator, and R squared."""
    away = 1 - (kept.double().mean(1)).sqrt()  # the cosine distance from all parts
    weights = (-((100 * away / _WIDTH) ** 2) / 2).exp()
    inputs = torch.cat([torch.ones(len(kept), 1, dtype=torch.float64), kept.double()], 1)
    inverse = torch.linalg.pinv(inputs.T @ (weights[:, None] * inputs), hermitian=True)
    line = inverse @ (inputs.T @ (weights * answers))
    off = answers - inputs @ line
    spread = inverse @ (inputs.T * (weights * off).square()) @ inputs @ inverse
    around = answers - (weights @ answers) / weights.sum()
    total = weights @ around.square()
    fit = 1 - float(weights @ off.square() / total) if total > 0 else 1.0
    return line[1:], spread.diagonal()[1:].clamp(min=0).sqrt(), fit
