import pytest
import torch

from tissu_core.models.loss import linear_nll, linear_nll_sum


def test_a_sure_and_right_guess_costs_nothing_and_a_wrong_one_its_distance() -> None:
    hidden, weight = torch.tensor([[50.0, 0.0]]), torch.eye(2)
    assert linear_nll(hidden, weight, torch.tensor([0])).item() == pytest.approx(0, abs=1e-6)
    assert linear_nll(hidden, weight, torch.tensor([1])).item() == pytest.approx(50)


def test_without_rows_there_is_no_loss() -> None:
    hidden, weight = torch.randn(0, 4, requires_grad=True), torch.randn(9, 4)
    targets = torch.zeros(0, dtype=torch.long)
    assert linear_nll_sum(hidden, weight, targets).item() == 0


def test_gradient_is_exact_in_the_direction_of_any_change() -> None:
    hidden = torch.randn(7, 5, requires_grad=True)
    weight = torch.randn(11, 5, requires_grad=True)
    targets = torch.randint(11, (7,))
    linear_nll_sum(hidden, weight, targets).backward()
    assert hidden.grad is not None
    direction = torch.randn(7, 5)
    step = 1e-2
    with torch.no_grad():
        ahead = linear_nll_sum(hidden + step * direction, weight, targets)
        behind = linear_nll_sum(hidden - step * direction, weight, targets)
    expected = (ahead - behind).item() / (2 * step)
    assert (hidden.grad * direction).sum().item() == pytest.approx(expected, rel=1e-2, abs=1e-3)
