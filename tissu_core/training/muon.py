"""Muon: momentum whose matrices are replaced by the nearest orthogonal ones.

Sources: Muon, Jordan et al. 2024, kellerjordan.github.io/posts/muon; the polynomial coefficients,
Polar Express, Amsel et al. 2025, arXiv:2505.16932; the normalisation of each output's step,
NorMuon, Li et al. 2025, arXiv:2510.05491.

Matrices of one shape (tall ones turned) go through one batched iteration. torch.optim.Muon takes
them one by one and always in bf16; docs/recipes.md has both measured.
"""

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

# Polar Express for singular values down to 1e-3, each step divided by the safety factor 1.01 that
# the paper gives against rounding: p(x) = a x + b x^3 + c x^5.
COEFFICIENTS: tuple[tuple[float, float, float], ...] = tuple(
    (a / 1.01, b / 1.01**3, c / 1.01**5)
    for a, b, c in (
        (8.28721201814563, -23.595886519098837, 17.300387312530933),
        (4.107059111542203, -2.9478499167379106, 0.5448431082926601),
        (3.9486908534822946, -2.908902115962949, 0.5518191394370137),
        (3.3184196573706015, -2.488488024314874, 0.51004894012372),
        (2.300652019954817, -1.6689039845747493, 0.4188073119525673),
    )
)


def orthogonalize(matrices: Tensor, dtype: torch.dtype) -> Tensor:
    """Each matrix with its singular values brought to about 1.

    Shapes: (N, rows, columns) with rows <= columns; returns the same.
    """
    x = matrices.to(dtype)
    x = x / (x.norm(dim=(1, 2), keepdim=True) * 1.01 + 1e-7)
    for a, b, c in COEFFICIENTS:
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.to(matrices.dtype)


class Muon(torch.optim.Optimizer):
    """Muon for a model's inner matrices. Each group's ``lr`` is the spectral norm of a step.

    The step of a matrix with more rows than columns grows by sqrt(rows / columns), so that one rate
    suits all shapes.
    """

    def __init__(
        self,
        params: Iterable[Tensor] | Iterable[dict[str, Any]],
        *,
        lr: float,
        momentum: float = 0.95,
        beta2: float = 0.9,
        weight_decay: float = 0.0,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        defaults = {"momentum": momentum, "beta2": beta2, "weight_decay": weight_decay}
        super().__init__(params, {"lr": lr, **defaults})
        self.found_inf = torch.zeros(())
        self._dtype = dtype
        self._batches = [
            (group, _ShapeBatch(params))
            for group in self.param_groups
            for params in _by_shape(group["params"])
        ]
        for _, batch in self._batches:
            for parameter, state in batch.states():
                self.state[parameter] = state

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """Move every matrix by one orthogonal step; none while ``found_inf`` is 1."""
        assert closure is None
        for group, batch in self._batches:
            batch.step(group, self.found_inf, self._dtype)


class _ShapeBatch:
    """Matrices of one shape, stacked wide (rows <= columns), and their momenta."""

    def __init__(self, params: list[Tensor]) -> None:
        self._params = params
        self._is_tall = [p.shape[0] > p.shape[1] for p in params]
        stacked = torch.stack([self._wide(p.detach(), i) for i, p in enumerate(params)])
        self._momentum = torch.zeros_like(stacked)
        # One second moment per output of a layer, whichever way the matrix is turned here.
        self._second = stacked.new_zeros(len(params), max(params[0].shape))

    def states(self) -> list[tuple[Tensor, dict[str, Tensor]]]:
        """Each parameter with views of its own state."""
        return [
            (p, {"momentum": self._momentum[i], "second_moment": self._second[i, : p.shape[0]]})
            for i, p in enumerate(self._params)
        ]

    def step(self, group: dict[str, Any], found_inf: Tensor, dtype: torch.dtype) -> None:
        gradients = torch.stack([self._wide(_gradient(p), i) for i, p in enumerate(self._params)])
        # A step that is left out is one of weight 0 along gradients of 0: all stays, to the bit.
        keep = 1 - found_inf.to(gradients.device)
        gradients = torch.where(keep.bool(), gradients, 0.0)
        self._momentum.lerp_(gradients, (1 - group["momentum"]) * keep)
        steps = orthogonalize(gradients.lerp_(self._momentum, group["momentum"]), dtype)
        rate = group["lr"] * keep
        for index, parameter in enumerate(self._params):
            step = self._wide(steps[index], index)
            rows, columns = parameter.shape
            step = _normalize(step, self._second[index, :rows], (1 - group["beta2"]) * keep)
            parameter.mul_(1 - rate * group["weight_decay"])
            parameter.sub_(step * (rate * max(1.0, rows / columns) ** 0.5))

    def _wide(self, matrix: Tensor, index: int) -> Tensor:
        return matrix.T if self._is_tall[index] else matrix


def _normalize(step: Tensor, second: Tensor, weight: Tensor) -> Tensor:
    """Even out the outputs' step sizes by their running mean square, keeping the whole norm.

    ``weight`` is that of this step in the mean.
    """
    second.lerp_(step.square().mean(dim=1), weight)
    scaled = step * (second + 1e-10).rsqrt()[:, None]
    even: Tensor = scaled * (step.norm() / (scaled.norm() + 1e-10))
    return even


def _gradient(parameter: Tensor) -> Tensor:
    return parameter.grad if parameter.grad is not None else torch.zeros_like(parameter)


def _by_shape(params: list[Tensor]) -> list[list[Tensor]]:
    shapes: defaultdict[tuple[int, ...], list[Tensor]] = defaultdict(list)
    for parameter in params:
        shapes[tuple(sorted(parameter.shape))].append(parameter)
    return list(shapes.values())
