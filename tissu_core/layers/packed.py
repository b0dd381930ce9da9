"""Layers whose weights are whole numbers of 4 or 8 bits with a scale and a minimum for each group.

A weight is ``number * scale + minimum``, where scale and minimum are those of its group of
neighbouring inputs. Most of GGUF's types are of this form, so they are held as they are stored.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

RUN = 32
"""Numbers that are packed together; a multiple of it are in a row."""
PANEL = 16
"""Rows whose numbers lie together, four bytes of each in turn, where a model only decodes
(``native/products.h``)."""
BESIDE = (".weight_scale", ".weight_min")
"""Ends of the names of what stands beside whole numbers, in the format it is stored in."""


class Packed(nn.Module):
    """Packed rows of weights.

    Shapes: weight (rows, size x bits / 8) uint8, as ``pack`` makes it; weight_scale and weight_min
    (rows, size / group) floats. In panels: weight (panels, bytes of a row / 4, 16) int32, the
    others (panels, size / group, 16) in fp16.
    """

    weight: Tensor
    weight_scale: Tensor
    weight_min: Tensor

    def __init__(self, rows: int, size: int, bits: int, group: int) -> None:
        super().__init__()
        self.bits, self.group, self.num_rows = bits, group, rows
        self.is_in_panels = False
        self.register_buffer("weight", torch.zeros(rows, size * bits // 8, dtype=torch.uint8))
        for name in ("weight_scale", "weight_min"):
            self.register_buffer(name, torch.zeros(rows, size // group))

    def dequantize(self, rows: slice | Tensor = slice(None)) -> Tensor:
        """The weights of these rows as fp32: (rows, size)."""
        kept = [self.weight, self.weight_scale, self.weight_min]
        if self.is_in_panels:
            kept = [_from_panels(panels, self.num_rows, rows) for panels in kept]
        else:
            kept = [numbers[rows] for numbers in kept]
        scale, low = kept[1].float(), kept[2].float()
        numbers = unpack(kept[0].view(torch.uint8), self.bits).view(*scale.shape, self.group)
        return torch.addcmul(low[..., None], numbers, scale[..., None]).flatten(1)

    def to_panels(self) -> None:
        """Lay sixteen rows together, the last with zeros; scales and minima become fp16."""
        self.weight = _to_panels(self.weight.contiguous().view(torch.int32))
        self.weight_scale = _to_panels(self.weight_scale.half())
        self.weight_min = _to_panels(self.weight_min.half())
        self.is_in_panels = True


def _to_panels(rows: Tensor) -> Tensor:
    """(rows, N) to (panels, N, 16)."""
    count, size = rows.shape
    if over := -count % PANEL:
        rows = torch.cat([rows, rows.new_zeros(over, size)])
    return rows.view(-1, PANEL, size).transpose(1, 2).contiguous()


def _from_panels(panels: Tensor, count: int, rows: slice | Tensor) -> Tensor:
    """Some of the rows of which there are ``count``: (panels, N, 16) to (rows, N)."""
    if isinstance(rows, slice):
        return panels.transpose(1, 2).flatten(0, 1)[:count][rows]
    return panels[rows // PANEL, :, rows % PANEL]


class PackedLinear(Packed):
    """x W^T + bias, on any device and in any dtype: the weights are unpacked for each product.

    ``product`` computes it faster, where a model only reads and writes.
    """

    product: Callable[[Tensor], Tensor] | None = None

    def __init__(self, inputs: int, outputs: int, bits: int, group: int, *, bias: bool) -> None:
        super().__init__(outputs, inputs, bits, group)
        self.in_features, self.out_features = inputs, outputs
        self.bias = nn.Parameter(torch.zeros(outputs)) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        """Unpack and multiply: (..., inputs) to (..., outputs)."""
        if self.product is not None:
            return self.product(x)
        bias = None if self.bias is None else self.bias.to(x.dtype)
        return F.linear(x, self.dequantize().to(x.dtype), bias)


class PackedEmbedding(Packed):
    """Rows by number, in fp32."""

    def __init__(self, rows: int, size: int, bits: int, group: int) -> None:
        super().__init__(rows, size, bits, group)
        self.num_embeddings, self.embedding_dim = rows, size

    def forward(self, ids: Tensor) -> Tensor:
        """Unpack the rows that are asked for: (...) to (..., size)."""
        return self.dequantize(ids.reshape(-1)).view(*ids.shape, -1)


def is_packed(name: str, tensor: Tensor) -> bool:
    """Whether it belongs to a packed matrix, whose rows are outputs in every file."""
    return not tensor.is_floating_point() or name.endswith(BESIDE)


def pack(numbers: Tensor, bits: int) -> Tensor:
    """Numbers below 2^bits as bytes; of 4 bits low halves of 16 bytes are a run's first numbers.

    The high halves are the 16 after them, so that a run of 32 is unpacked by one shift.

    Shapes: numbers (rows, size) uint8; returns (rows, size x bits / 8) uint8.
    """
    if bits == 8:
        return numbers
    runs = numbers.view(len(numbers), -1, 2, RUN // 2)
    return (runs[:, :, 0] | (runs[:, :, 1] << 4)).flatten(1)


def unpack(packed: Tensor, bits: int) -> Tensor:
    """What ``pack`` was given."""
    if bits == 8:
        return packed
    runs = packed.view(len(packed), -1, RUN // 2)
    return torch.stack([runs & 15, runs >> 4], dim=2).flatten(1)
