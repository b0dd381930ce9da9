"""Packed matrices in the order in which torch's CPU kernel for 4 bits reads them."""

from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tissu_core.layers.packed import PackedLinear, unpack

GROUPS = (32, 64, 128, 256)
"""Inputs that may share a scale in the kernel."""
_BLOCK = 64
"""Outputs are filled up to a multiple of this, which all of the kernel's blocks divide."""
_ROWS = 4096
"""Put in order at once, as 32-bit numbers."""


class KernelLinear(nn.Module):
    """x W^T + bias of a ``PackedLinear``, by numbers that are unpacked in registers.

    A number of 8 bits is two of 4: ``16 high + low``, with the inputs given twice.
    Shapes: weight (outputs, inputs / 2) uint8 in the kernel's own order, scales
    (inputs / group, outputs, 2) bf16, in which it computes; of 8 bits with twice the inputs.
    """

    weight: Tensor
    scales: Tensor

    def __init__(self, layer: PackedLinear) -> None:
        super().__init__()
        self.in_features, self.out_features = layer.in_features, layer.out_features
        self.bits, self.group, self.bias = layer.bits, layer.group, layer.bias
        filled = -(-layer.out_features // _BLOCK) * _BLOCK
        parts = [_in_order(layer, slice(at, at + _ROWS)) for at in range(0, filled, _ROWS)]
        self.register_buffer("weight", torch.cat(parts))
        scale = layer.weight_scale.float()
        low = layer.weight_min.float()
        if layer.bits == 8:
            scales = torch.cat([16 * scale, scale], 1)
            lows = torch.cat([low + 136 * scale, torch.zeros_like(low)], 1)
        else:
            scales, lows = scale, low + 8 * scale
        stacked = torch.stack([scales, lows], -1).transpose(0, 1)
        stacked = F.pad(stacked, (0, 0, 0, filled - layer.out_features))
        self.register_buffer("scales", stacked.to(torch.bfloat16).contiguous())

    def forward(self, x: Tensor) -> Tensor:
        """Multiply: (..., inputs) to (..., outputs)."""
        rows = x.reshape(-1, self.in_features).to(torch.bfloat16)
        if self.bits == 8:
            rows = torch.cat([rows, rows], -1)
        out = torch.ops.aten._weight_int4pack_mm_for_cpu(rows, self.weight, self.group, self.scales)
        if out.shape[-1] != self.out_features:
            out = out[:, : self.out_features]
        out = out.view(*x.shape[:-1], self.out_features).to(x.dtype)
        done: Tensor = out if self.bias is None else out + self.bias
        return done


def _in_order(layer: PackedLinear, rows: slice) -> Tensor:
    numbers = unpack(layer.weight[rows], layer.bits)
    if layer.bits == 8:
        numbers = torch.cat([numbers >> 4, numbers & 15], 1)
    missing = -len(numbers) % _BLOCK
    numbers = F.pad(numbers, (0, 0, 0, missing)).to(torch.int32)
    ordered: Tensor = torch.ops.aten._convert_weight_to_int4pack_for_cpu(numbers, 1)
    return ordered


@cache
def has_kernel() -> bool:
    """Whether this torch multiplies by packed numbers on this processor."""
    try:
        weight = torch.ops.aten._convert_weight_to_int4pack_for_cpu(
            torch.zeros(_BLOCK, 32, dtype=torch.int32), 1
        )
        torch.ops.aten._weight_int4pack_mm_for_cpu(
            torch.zeros(1, 32, dtype=torch.bfloat16),
            weight,
            32,
            torch.zeros(1, _BLOCK, 2, dtype=torch.bfloat16),
        )
    except (RuntimeError, AttributeError, NotImplementedError):
        return False
    return True
