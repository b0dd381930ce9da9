"""A moving average of the weights: what is measured and kept while the weights themselves move on.

Sources: Polyak and Juditsky 1992, Acceleration of stochastic approximation by averaging; the decay
that is small at first, so that the first steps are soon forgotten, is TensorFlow's
ExponentialMovingAverage with ``num_updates``.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor


class WeightAverage:
    """The mean of the weights after each step, those of ``1 / (1 - decay)`` steps counting most.

    It begins with the weights as they are. Its memory is one more copy of them, and a second one
    for a moment of each step.
    """

    def __init__(self, named: Iterable[tuple[str, Tensor]], decay: float) -> None:
        """``named`` are the weights that move, in fp32."""
        self._decay = decay
        self._weights = {name: weight.detach() for name, weight in named}
        self._means = {name: weight.clone() for name, weight in self._weights.items()}

    def update(self, step: int, is_bad: Tensor) -> None:
        """Take in the weights after ``step`` earlier ones, unless that was left out.

        ``is_bad`` is read on its device, so nothing waits for it.
        """
        weights, means = [*self._weights.values()], [*self._means.values()]
        moves = torch._foreach_sub(weights, means)
        torch._foreach_mul_(moves, (1 - self.decay_at(step)) * ~is_bad)
        torch._foreach_add_(means, moves)

    def decay_at(self, step: int) -> float:
        """The share of the mean that stays, after ``step`` earlier steps."""
        return min(self._decay, (1 + step) / (10 + step))

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Let the model have the mean for its weights meanwhile."""
        self._exchange()
        try:
            yield
        finally:
            self._exchange()

    @torch.no_grad()
    def _exchange(self) -> None:
        for name, weight in self._weights.items():
            kept = weight.clone()
            weight.copy_(self._means[name])
            self._means[name].copy_(kept)
