"""Bins that double: the counts of torch.histogram, on both sides of zero."""

import pytest
import torch

from tissu_core.models.bins import NUM_BINS, bin_edges, count_bins


@pytest.mark.parametrize("scale", [1e-20, 1e-6, 1.0, 1e5, 1e30])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_counts_are_those_of_torch(scale: float, dtype: torch.dtype) -> None:
    values = (torch.randn(70_000) * scale).to(dtype)
    counts, edges = count_bins(values), torch.tensor(bin_edges(), dtype=torch.float64)
    wide, half = values.double(), NUM_BINS // 2
    assert counts[:-1].sum() == values.numel() and counts[-1] == 0
    for side, found in (
        (wide[wide >= 0], counts[half:-1]),
        (-wide[wide < 0], counts[:half].flip(0)),
    ):
        assert torch.equal(found, torch.histogram(side, edges[half:]).hist.long())


def test_every_value_has_a_bin() -> None:
    values = torch.tensor([0.0, -0.0, 1.0, -1.0, 1e-45, -1e-45, 3e38, -3e38])
    odd = torch.tensor([torch.nan, torch.inf, -torch.inf])
    counts, half = count_bins(torch.cat([values, odd])), NUM_BINS // 2
    assert counts[-1] == 3 and counts.sum() == 11
    assert counts[half] == 3 and counts[half - 1] == 1  # both zeros and the least on either side
    assert counts[0] == counts[NUM_BINS - 1] == 1
    one = bin_edges().index(1.0)
    assert counts[one] == counts[NUM_BINS - 1 - one] == 1
    assert count_bins(torch.empty(0)).sum() == 0
