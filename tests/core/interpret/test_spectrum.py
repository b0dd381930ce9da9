import math

import numpy
import pytest
import torch
from torch import Tensor

from tissu_core.interpret.tensors import spectrum
from tissu_core.interpret.tensors.spectrum import measure_spectrum, singular_values, spectrum_cost


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def of_rank(rank: int, rows: int = 300, columns: int = 400) -> Tensor:
    return drawn(rows, rank) @ drawn(rank, columns, seed=1)


@pytest.mark.parametrize("shape", [(30, 20), (20, 300), (300, 270), (400, 290), (7, 1), (1, 9)])
@pytest.mark.parametrize("is_exact", [True, False])
def test_both_ways_give_torchs_singular_values(
    shape: tuple[int, int], is_exact: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spectrum, "_EXACT_SIDE", 512 if is_exact else 0)
    matrix = drawn(*shape)
    expected = torch.linalg.svdvals(matrix.double())
    torch.testing.assert_close(singular_values(matrix), expected, rtol=1e-7, atol=1e-7)


def test_parts_of_a_tall_matrix_add_up(monkeypatch: pytest.MonkeyPatch) -> None:
    matrix = drawn(1000, 300)
    monkeypatch.setattr("tissu_core.interpret.tensors.reading.PART", 300 * 37)
    expected = torch.linalg.svdvals(matrix.double())
    torch.testing.assert_close(singular_values(matrix), expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("rank", [1, 3, 40])
@pytest.mark.parametrize("side", [100, 300])
def test_a_matrix_of_low_rank_is_found_out(rank: int, side: int) -> None:
    found = measure_spectrum(of_rank(rank, side, side + 10))
    assert found is not None
    assert (found.rank, found.condition) == (rank, None)
    assert len(found.values) == side
    assert found.effective_rank <= rank * 1.01 and found.stable_rank <= rank * 1.01
    assert dict(found.energy)[100] == pytest.approx(1)


def test_equal_singular_values_use_every_direction() -> None:
    found = measure_spectrum(2.5 * torch.linalg.qr(drawn(60, 60))[0])
    assert found is not None
    assert found.effective_rank == pytest.approx(60)
    assert found.stable_rank == pytest.approx(60)
    assert found.condition == pytest.approx(1, rel=1e-4)
    assert found.energy == ((1, pytest.approx(1 / 60)), (10, pytest.approx(1 / 6)))


def test_figures_are_their_formulas_by_numpy() -> None:
    matrix = drawn(50, 80)
    found = measure_spectrum(matrix)
    values = numpy.linalg.svd(matrix.double().numpy(), compute_uv=False)
    shares = values / values.sum()
    assert found is not None
    assert found.effective_rank == pytest.approx(math.exp(-(shares * numpy.log(shares)).sum()))
    assert found.stable_rank == pytest.approx((values**2).sum() / values[0] ** 2)
    assert found.condition == pytest.approx(values[0] / values[-1])
    assert dict(found.energy)[10] == pytest.approx((values[:10] ** 2).sum() / (values**2).sum())


def test_what_is_random_lies_below_the_edge_and_what_is_planted_above() -> None:
    noise = drawn(200, 400)
    plain = measure_spectrum(noise)
    assert plain is not None
    assert plain.values[0] == pytest.approx(plain.noise_edge, rel=0.05)
    assert plain.num_above_noise <= 2
    planted = measure_spectrum(noise + 4 * of_rank(3, 200, 400))
    assert planted is not None and planted.num_above_noise == 3


def test_what_has_no_spectrum() -> None:
    matrix = drawn(20, 30)
    matrix[3, 4] = math.nan
    assert measure_spectrum(matrix) is None
    assert measure_spectrum(drawn(20)) is None
    assert measure_spectrum(drawn(2, 3, 4)) is None
    zeros = measure_spectrum(torch.zeros(20, 30))
    assert zeros is not None
    assert (zeros.rank, zeros.effective_rank, zeros.condition) == (0, 0.0, None)


def test_a_spectrum_costs_more_the_larger_it_is() -> None:
    assert spectrum_cost((576,)) == 0
    assert spectrum_cost((576, 576)) < spectrum_cost((1536, 576)) < spectrum_cost((49152, 576))
