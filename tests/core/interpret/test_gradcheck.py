from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from tissu_core.errors import ConfigError
from tissu_core.interpret.gradcheck import check_case, iter_gradient_checks
from tissu_core.interpret.gradcheck_cases import CASES, Built, Case


class Cubed(torch.autograd.Function):
    """x^3, with a backward that is as wrong as ``slope`` says."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, slope: Callable[[Tensor], Tensor]) -> Tensor:
        ctx.save_for_backward(x)
        ctx.slope = slope
        return x**3

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (x,) = ctx.saved_tensors
        return gradients[0] * ctx.slope(x), None


def cubed(slope: Callable[[Tensor], Tensor]) -> Case:
    def build() -> Built:
        x = torch.rand(5, dtype=torch.float64, requires_grad=True)
        y = torch.rand(5, dtype=torch.float64, requires_grad=True)
        return lambda: Cubed.apply(x, slope) + 2 * y, {"x": x}, {"y": y}

    return Case("cubed", build)


def with_one_wrong(x: Tensor) -> Tensor:
    slope = 3 * x**2
    slope[-1] *= 1 + 1e-4
    return slope


def test_a_right_backward_passes() -> None:
    check = check_case(cubed(lambda x: 3 * x**2))
    assert check.is_passed and check.largest_error < 1e-6
    assert (check.layer, check.num_parameters, check.num_inputs) == ("cubed", 5, 5)


@pytest.mark.parametrize(
    "slope",
    [
        lambda x: 2 * x**2,
        lambda x: -3 * x**2,
        torch.zeros_like,
        with_one_wrong,
        lambda x: x * torch.nan,
        lambda x: (3 * x**2).float().double() * (1 + 1e-5),
    ],
)
def test_a_wrong_backward_fails(slope: Callable[[Tensor], Tensor]) -> None:
    check = check_case(cubed(slope))
    assert not check.is_passed
    assert check.where == "x"


def test_a_gradient_that_never_arrives_fails() -> None:
    def build() -> Built:
        x = torch.rand(3, dtype=torch.float64, requires_grad=True)
        y = torch.rand(3, dtype=torch.float64, requires_grad=True)
        return lambda: x.detach() + y, {"x": x}, {"y": y}

    check = check_case(Case("cut", build))
    assert not check.is_passed and check.where == "x"


@pytest.mark.parametrize(
    "case", [c for c in CASES if not c.name.startswith("decoder")], ids=lambda c: c.name
)
def test_every_layer_has_the_slope_of_its_forward(case: Case) -> None:
    case = Case(case.name, case.build, min(case.most_numbers, 6), case.step)
    check = check_case(case)
    assert check.is_passed, check


def test_layers_are_chosen_by_a_part_of_their_name() -> None:
    assert [check.layer for check in iter_gradient_checks("norm.layer")] == [
        "norm.layernorm",
        "norm.layernorm_bias",
    ]
    with pytest.raises(ConfigError, match="no layer is called 'atention'") as refused:
        next(iter_gradient_checks("atention"))
    assert refused.value.hint == "--module attention"
