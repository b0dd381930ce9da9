import pytest
import torch
import torch.nn.functional as F

from tissu_core.layers.packed import PackedEmbedding, PackedLinear, pack, unpack


@pytest.mark.parametrize("bits", [4, 8])
def test_packed_numbers_come_back(bits: int) -> None:
    numbers = torch.randint(0, 2**bits, (5, 96), dtype=torch.uint8)
    packed = pack(numbers, bits)
    assert packed.shape == (5, 96 * bits // 8)
    assert torch.equal(unpack(packed, bits), numbers)


@pytest.mark.parametrize("bits", [4, 8])
@pytest.mark.parametrize("group", [16, 32])
def test_layers_compute_with_number_times_scale_plus_minimum(bits: int, group: int) -> None:
    numbers = torch.randint(0, 2**bits, (12, 64), dtype=torch.uint8)
    scale, low = torch.rand(12, 64 // group), torch.randn(12, 64 // group)
    weight = numbers * scale.repeat_interleave(group, 1) + low.repeat_interleave(group, 1)
    linear = PackedLinear(64, 12, bits, group, bias=True)
    rows = PackedEmbedding(12, 64, bits, group)
    for layer in (linear, rows):
        layer.weight, layer.weight_scale, layer.weight_min = pack(numbers, bits), scale, low
        torch.testing.assert_close(layer.dequantize(), weight)
    assert linear.bias is not None
    torch.nn.init.normal_(linear.bias)
    x = torch.randn(2, 3, 64)
    torch.testing.assert_close(linear(x), F.linear(x, weight, linear.bias), atol=1e-3, rtol=1e-4)
    ids = torch.tensor([[3, 0], [11, 3]])
    torch.testing.assert_close(rows(ids), weight[ids])
