"""Layers whose weights are stored as int8 with one scale for each output: a quarter of fp32.

A weight is ``weight * weight_scale``; what is computed with it keeps the activations' dtype.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Int8Linear(nn.Module):
    """x W^T + bias. The scales multiply the products, of which there are fewer than weights.

    On 2 cores a product of one row takes 1.6 times that of stored fp32, of 256 rows as long.
    Shapes: weight (outputs, inputs) int8, weight_scale (outputs,) fp32.
    """

    weight: Tensor
    weight_scale: Tensor

    def __init__(self, inputs: int, outputs: int, *, bias: bool) -> None:
        super().__init__()
        self.in_features, self.out_features = inputs, outputs
        self.register_buffer("weight", torch.zeros(outputs, inputs, dtype=torch.int8))
        self.register_buffer("weight_scale", torch.ones(outputs))
        self.bias = nn.Parameter(torch.zeros(outputs)) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        """Multiply by whole numbers, then scale each output."""
        out = F.linear(x, self.weight.to(x.dtype)) * self.weight_scale.to(x.dtype)
        return out if self.bias is None else out + self.bias.to(x.dtype)

    def dequantize(self) -> Tensor:
        """The weight as fp32: (outputs, inputs)."""
        return self.weight * self.weight_scale[:, None]


class Int8Embedding(nn.Module):
    """Rows by number. Shapes: weight (rows, C) int8, weight_scale (rows,) fp32."""

    weight: Tensor
    weight_scale: Tensor

    def __init__(self, rows: int, size: int) -> None:
        super().__init__()
        self.num_embeddings, self.embedding_dim = rows, size
        self.register_buffer("weight", torch.zeros(rows, size, dtype=torch.int8))
        self.register_buffer("weight_scale", torch.ones(rows))

    def forward(self, ids: Tensor) -> Tensor:
        """The rows, in fp32."""
        return self.weight[ids] * self.weight_scale[ids, None]

    def dequantize(self) -> Tensor:
        """All rows as fp32: (rows, C)."""
        return self.weight * self.weight_scale[:, None]
