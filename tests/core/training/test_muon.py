import pytest
import torch

from tissu_core.training.muon import Muon, orthogonalize


def singular_values(shape: tuple[int, int], *, worst: float = 1.0) -> torch.Tensor:
    """Of the orthogonalised matrix whose own values fall from 1 to ``worst``."""
    left, _, right = torch.linalg.svd(torch.randn(shape), full_matrices=False)
    own = torch.logspace(0, torch.tensor(worst).log10().item(), shape[0])
    return torch.linalg.svdvals(orthogonalize((left * own @ right)[None], torch.float32)[0])


@pytest.mark.parametrize("shape", [(8, 8), (8, 30), (32, 88), (1, 5), (64, 64)])
@pytest.mark.parametrize("worst", [1.0, 0.01])
def test_singular_values_are_brought_near_one(shape: tuple[int, int], worst: float) -> None:
    values = singular_values(shape, worst=worst)
    assert values.min() > 0.6
    assert values.max() < 1.3


def test_random_matrices_become_near_orthogonal() -> None:
    found = orthogonalize(torch.randn(3, 24, 40) * 1e-4, torch.float32)
    values = torch.linalg.svdvals(found)
    assert values.min() > 0.6
    assert values.max() < 1.3


def test_directions_are_kept() -> None:
    matrix = torch.randn(16, 30)
    left, _, right = torch.linalg.svd(matrix, full_matrices=False)
    found = orthogonalize(matrix[None], torch.float32)[0]
    diagonal = left.T @ found @ right.T
    assert (diagonal - diagonal.diagonal().diag()).abs().max() < 1e-3


def test_matrices_of_a_batch_do_not_mix() -> None:
    batch = torch.randn(3, 8, 12)
    alone = orthogonalize(batch[1:2], torch.float32)
    torch.testing.assert_close(orthogonalize(batch, torch.float32)[1:2], alone)


def test_zeros_stay_zeros_and_the_input_is_not_changed() -> None:
    assert torch.equal(orthogonalize(torch.zeros(1, 4, 6), torch.float32), torch.zeros(1, 4, 6))
    matrix = torch.randn(1, 4, 6)
    before = matrix.clone()
    orthogonalize(matrix, torch.bfloat16)
    assert torch.equal(matrix, before)


def parameter(rows: int, columns: int) -> torch.nn.Parameter:
    parameter = torch.nn.Parameter(torch.randn(rows, columns))
    parameter.grad = torch.randn(rows, columns)
    return parameter


@pytest.mark.parametrize(("rows", "columns"), [(12, 12), (12, 30), (30, 12)])
def test_the_rate_is_the_size_of_a_step(rows: int, columns: int) -> None:
    matrix = parameter(rows, columns)
    before = matrix.detach().clone()
    Muon([matrix], lr=0.1).step()
    step = (before - matrix.detach()) / 0.1
    grown = max(1.0, rows / columns) ** 0.5
    expected = grown * min(rows, columns) ** 0.5  # the norm of an orthogonal matrix
    assert step.norm().item() == pytest.approx(expected, rel=0.15)
    assert (step * matrix.grad).sum() > 0, "the step goes down the gradient"
    sizes = step.square().mean(dim=1).sqrt()
    assert sizes.max() < 1.05 * sizes.min(), "each output moves by the same"


def test_tall_and_wide_matrices_step_as_if_alone() -> None:
    both = [parameter(12, 30), parameter(30, 12), parameter(12, 30)]
    alone = [torch.nn.Parameter(p.detach().clone()) for p in both]
    together = Muon(both, lr=0.1, weight_decay=0.1)
    apart = [Muon([p], lr=0.1, weight_decay=0.1) for p in alone]
    for seed in range(3):
        generator = torch.Generator().manual_seed(seed)
        for one, other in zip(both, alone, strict=True):
            one.grad = torch.randn(one.shape, generator=generator)
            other.grad = one.grad.clone()
        together.step()
        for optimizer in apart:
            optimizer.step()
    for one, other in zip(both, alone, strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-4)


def test_weight_decay_pulls_towards_zero() -> None:
    matrix = torch.nn.Parameter(torch.ones(4, 6))
    matrix.grad = torch.zeros(4, 6)
    Muon([matrix], lr=0.1, weight_decay=0.5).step()
    torch.testing.assert_close(matrix.detach(), torch.full((4, 6), 0.95))


def test_a_matrix_without_gradient_stays_where_it_is() -> None:
    still, moving = torch.nn.Parameter(torch.ones(4, 6)), parameter(4, 6)
    Muon([still, moving], lr=0.1).step()
    assert torch.equal(still.detach(), torch.ones(4, 6))


def test_gradients_are_left_as_they_are() -> None:
    matrix = parameter(30, 12)
    before = matrix.grad.clone()
    Muon([matrix], lr=0.1).step()
    assert torch.equal(matrix.grad, before)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_it_solves_a_least_squares_problem(dtype: torch.dtype) -> None:
    target = torch.randn(8, 12)
    matrix = torch.nn.Parameter(torch.zeros(8, 12))
    muon = Muon([matrix], lr=0.1, dtype=dtype)
    for step in range(120):
        muon.param_groups[0]["lr"] = 0.1 * (1 - step / 120)
        muon.zero_grad()
        (matrix - target).square().sum().backward()
        muon.step()
    assert (matrix - target).square().mean() < 0.01 * target.square().mean()
