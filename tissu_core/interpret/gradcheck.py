"""Whether every layer's backward is the derivative of its forward: finite differences in fp64.

torch has ``gradcheck``, which says yes or no; here the largest error is wanted, of layers that
compute otherwise with gradients than without. So an analytic gradient is that of a step of
training, and the differences are those of a model in use: one check for both ways.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from tissu_core.errors import ConfigError, nearest
from tissu_core.events.measures import GradientChecked
from tissu_core.interpret.gradcheck_cases import CASES, Case

TOLERANCE = 1e-6
_FLOOR = 1e-3
"""Of the layer's largest gradient; errors of smaller ones are held against this share of it."""


def iter_gradient_checks(query: str | None) -> Iterator[GradientChecked]:
    """Check the layers whose name contains ``query``, or all.

    Raises:
        ConfigError: If no name does; names the nearest.
    """
    chosen = [case for case in CASES if not query or query.lower() in case.name]
    if not chosen:
        names = [case.name for case in CASES]
        groups = dict.fromkeys(name.split(".")[0] for name in names)
        near = nearest(query or "", [*groups, *names])
        raise ConfigError(
            f"no layer is called {query!r}",
            field="module",
            hint="--module " + (near[0] if near else "|".join(groups)),
        )
    for case in chosen:
        yield check_case(case)


def check_case(case: Case) -> GradientChecked:
    """Hold one layer's gradients against differences."""
    torch.manual_seed(0)
    compute, parameters, inputs = case.build()
    tensors = {**parameters, **inputs}
    worst = _compare(compute, tensors, case)
    counts = [
        sum(min(tensor.numel(), case.most_numbers) for tensor in group.values())
        for group in (parameters, inputs)
    ]
    return GradientChecked(
        layer=case.name,
        num_parameters=counts[0],
        num_inputs=counts[1],
        largest_error=worst.error,
        where=worst.where,
        is_passed=worst.error < TOLERANCE,
    )


@dataclass(frozen=True, slots=True)
class _Worst:
    error: float
    where: str


def _compare(compute: Callable[[], Tensor], tensors: Mapping[str, Tensor], case: Case) -> _Worst:
    """The largest error of any number's gradient; one that is no number is the worst."""
    out = compute()
    weights = torch.randn_like(out)  # so that no two outputs cancel
    found: Sequence[Tensor | None] = torch.autograd.grad(
        (out * weights).sum(), [*tensors.values()], allow_unused=True
    )
    gradients = dict(zip(tensors, found, strict=True))
    floor = _FLOOR * max((float(g.abs().max()) for g in found if g is not None), default=0.0)
    worst = _Worst(0.0, next(iter(tensors)))
    for name, tensor in tensors.items():
        gradient = gradients[name]
        analytic = (torch.zeros_like(tensor) if gradient is None else gradient).flatten()
        numbers = _choose(analytic, case.most_numbers)
        differences = _differences(compute, tensor, numbers, weights, case.step)
        analytic = analytic[numbers]
        size = torch.maximum(analytic.abs(), differences.abs()).clamp(min=floor)
        error = float(((analytic - differences).abs() / size.clamp(min=1e-300)).max())
        if math.isnan(error) or error > worst.error:
            worst = _Worst(error, name)
        if math.isnan(error):
            break
    return worst


def _choose(gradient: Tensor, most: int) -> Tensor:
    """All numbers of a tensor; of a large one those of the largest gradient, and some by lot."""
    if len(gradient) <= most:
        return torch.arange(len(gradient))
    largest = gradient.abs().nan_to_num(torch.inf).topk(most // 2).indices
    drawn = torch.randperm(len(gradient))[: most - most // 2]
    return torch.cat([largest, drawn])


@torch.no_grad()
def _differences(
    compute: Callable[[], Tensor], tensor: Tensor, numbers: Tensor, weights: Tensor, step: float
) -> Tensor:
    """Central differences, of fourth order, of the weighted output along a tensor's numbers."""
    flat = tensor.detach().view(-1)

    def between(number: int, distance: float) -> Tensor:
        before = float(flat[number])
        flat[number] = before + distance
        above = compute()
        flat[number] = before - distance
        below = compute()
        flat[number] = before
        return ((above - below) * weights).sum()

    found = [
        (8 * between(number, step) - between(number, 2 * step)) / (12 * step)
        for number in numbers.tolist()
    ]
    return torch.stack(found)
