"""Feed-forward blocks. Shapes: (B, T, C) to (B, T, C), with F channels between."""

from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tissu_core.layers.linear import Linear


class GLU(nn.Module):
    """(activation(x W_gate) * (x W_up)) W_down. Source: Shazeer 2020, arXiv:2002.05202."""

    def __init__(
        self, hidden_size: int, intermediate_size: int, activation: str, *, bias: bool
    ) -> None:
        super().__init__()
        self.gate_proj = Linear(hidden_size, intermediate_size, bias=bias)
        self.up_proj = Linear(hidden_size, intermediate_size, bias=bias)
        self.down_proj = Linear(intermediate_size, hidden_size, bias=bias)
        self.activation = GATES[activation]
        self.gate_up_proj: nn.Module | None = None
        """The first two in one, where a model is made to decode (``models/fuse.py``)."""

    def forward(self, x: Tensor) -> Tensor:
        """Gate, multiply, project back."""
        if self.gate_up_proj is None:
            gate, up = self.gate_proj(x), self.up_proj(x)
        else:
            gate, up = self.gate_up_proj(x).chunk(2, dim=-1)
        bent = self.activation(gate)
        bent = bent * up if torch.is_grad_enabled() else bent.mul_(up)
        down: Tensor = self.down_proj(bent)
        return down


class MLP(nn.Module):
    """activation(x W_up) W_down."""

    def __init__(
        self, hidden_size: int, intermediate_size: int, activation: str, *, bias: bool
    ) -> None:
        super().__init__()
        self.up_proj = Linear(hidden_size, intermediate_size, bias=bias)
        self.down_proj = Linear(intermediate_size, hidden_size, bias=bias)
        self.activation = ACTIVATIONS[activation]

    def forward(self, x: Tensor) -> Tensor:
        """Project, bend, project back."""
        down: Tensor = self.down_proj(self.activation(self.up_proj(x)))
        return down


def relu2(x: Tensor) -> Tensor:
    """The square of relu. Source: So et al. 2021, arXiv:2109.08668."""
    return F.relu(x).square()


ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "gelu": F.gelu,  # with the error function; Hendrycks and Gimpel 2016, arXiv:1606.08415
    "gelu_tanh": partial(F.gelu, approximate="tanh"),  # GPT-2's
    "relu": F.relu,
    "relu2": relu2,
}
GATES: dict[str, Callable[[Tensor], Tensor]] = {
    "swiglu": F.silu,
    "geglu_tanh": ACTIVATIONS["gelu_tanh"],  # Gemma's
}


def build_feed_forward(
    kind: str, hidden_size: int, intermediate_size: int, *, bias: bool
) -> GLU | MLP:
    """The block for the name of a gate or an activation."""
    block = GLU if kind in GATES else MLP
    return block(hidden_size, intermediate_size, kind, bias=bias)
