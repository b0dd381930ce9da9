"""The linear layers of a block, which may compute in float8 while they learn."""

from torch import Tensor, nn

from tissu_core.layers.float8 import MULTIPLE, float8_linear


class Linear(nn.Linear):
    """x W^T + bias; with ``is_float8`` by products in float8 in training mode."""

    is_float8 = False

    @property
    def suits_float8(self) -> bool:
        """Whether its sides are such that cards multiply it."""
        return self.in_features % MULTIPLE == 0 and self.out_features % MULTIPLE == 0

    def forward(self, x: Tensor) -> Tensor:
        """Multiply."""
        if self.is_float8 and self.training:
            return float8_linear(x, self.weight, self.bias)
        return super().forward(x)
