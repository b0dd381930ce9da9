"""Integrated gradients: slopes on the straight way from embeddings that say nothing.

Source: Sundararajan et al. 2017, arXiv:1703.01365.
"""

from collections.abc import Generator

import numpy as np
import torch
from torch import Tensor

from tissu_core.interpret.attribution.question import Attribution, Question
from tissu_core.models.observe import observe

FEWEST_STEPS, MOST_STEPS = 32, 512
MOST_GAP = 0.01
"""Of the sum of all values, the share above which steps are doubled."""


def base_of(question: Question) -> Tensor:
    """Where the way begins: (C,), of the neutral token, or else the mean of all embeddings.

    From a space to "The capital of France is", SmolLM2 of 135M parameters has slopes of up to
    6,000 nats, and the sum is 157 % off after 512 steps; from the mean they are up to 84.
    """
    weight = question.model.model.embed_tokens.weight.detach()
    return weight.mean(0) if question.neutral is None else weight[question.neutral]


def iter_integrated_gradients(question: Question) -> Generator[int, None, Attribution]:
    """The integral of each part's slope times what its embeddings differ from ``base_of`` it.

    Steps are Gauss and Legendre's, doubled until the values' sum is f(all) - f(none) within
    ``MOST_GAP`` or there are ``MOST_STEPS``. Yields how many readings are done.
    """
    way = _Way(question, base_of(question))
    empty, whole = way.answers()
    steps, readings = FEWEST_STEPS, 2
    while True:
        for done, total in way.integrate(steps):
            by_token = total
            yield readings + done
        readings += steps
        found = Attribution(
            values=[float(by_token[part.start : part.stop].sum()) for part in question.parts],
            errors=[0.0] * question.num_parts,
            whole=whole,
            empty=empty,
            readings=readings,
            is_exact=False,
        )
        if found.gap <= MOST_GAP or steps >= MOST_STEPS:
            return found
        steps *= 2


class _Way:
    """The line from no part to all, in the space of what enters the first layer."""

    def __init__(self, question: Question, base: Tensor) -> None:
        self.question, self.model = question, question.model
        self.ids = torch.tensor([question.ids], device=self.model.device)
        with torch.no_grad():
            self.end = self.model.model.embed_tokens(question.with_target(self.ids))[0]
        self.start = self.end.clone()
        for part in question.parts:
            self.start[part.start : part.stop] = base
        self.step = self.end - self.start

    @torch.no_grad()
    def answers(self) -> tuple[float, float]:
        """F at both ends."""
        empty, whole = self._answer(torch.stack([self.start, self.end])).tolist()
        return empty, whole

    def integrate(self, steps: int) -> Generator[tuple[int, Tensor], None, None]:
        """How many steps are done, and the sum so far for each token: (T,), in fp64."""
        at, weights = np.polynomial.legendre.leggauss(steps)
        points = torch.tensor((at + 1) / 2).to(self.step)
        shares = torch.tensor(weights / 2).to(self.step)
        total = torch.zeros(len(self.step), dtype=torch.float64)
        at_once, done = self.question.at_once, 0
        batches = zip(torch.split(points, at_once), torch.split(shares, at_once), strict=True)
        for some, share in batches:
            x = (self.start + some[:, None, None] * self.step).requires_grad_()
            with torch.enable_grad():
                (slopes,) = torch.autograd.grad(self._answer(x).sum(), x)
            total += ((slopes * share[:, None, None]).sum(0) * self.step).sum(-1).double().cpu()
            done += len(some)
            yield done, total

    def _answer(self, embedded: Tensor) -> Tensor:
        """F of embeddings: (N, T, C) to (N,)."""
        with observe(self.model, {"model.embed_tokens": lambda _: embedded}):
            return self.question.log_probs(self.ids.expand(len(embedded), -1))
