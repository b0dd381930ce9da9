import torch

from tissu_core.layers.norms import RMSNorm


def test_a_fresh_norm_brings_every_row_to_size_one() -> None:
    out = RMSNorm(64, 1e-6)(torch.randn(3, 64) * 50 + 4)
    torch.testing.assert_close(out.square().mean(-1), torch.ones(3), atol=1e-4, rtol=0)


def test_the_weight_scales_channels() -> None:
    norm = RMSNorm(4, 1e-6)
    x = torch.randn(2, 4)
    before = norm(x)
    norm.weight.data.copy_(torch.tensor([0.0, 1.0, 2.0, -1.0]))
    torch.testing.assert_close(norm(x), before * norm.weight)


def test_zeros_stay_zeros() -> None:
    assert torch.equal(RMSNorm(8, 1e-6)(torch.zeros(1, 8)), torch.zeros(1, 8))
