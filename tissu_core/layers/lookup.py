"""An activation read from a table, instead of computed."""

from collections.abc import Callable
from itertools import chain

import torch
from torch import Tensor, nn

from tissu_core.layers.feed_forward import GLU, MLP

REACH = 10.0
"""From here on GELU and SiLU are 0 below and x above, to 5 parts in 10,000 of SiLU and far less of
GELU."""
SIZE = 4096


class LookUp:
    """Straight lines between ``size`` points of a function over [-REACH, REACH]; 0 and x beyond.

    Between points h apart it is off by at most h^2 / 8 times the largest second derivative, so by a
    quarter as much with twice the points: by 2.4e-6 of GELU with 4,096, and with more by what the
    digits of fp32 leave. It has no gradient worth the name, and is for using a model.
    """

    def __init__(
        self,
        function: Callable[[Tensor], Tensor],
        size: int = SIZE,
        device: torch.device | str = "cpu",
    ) -> None:
        points = torch.linspace(-REACH, REACH, size, dtype=torch.float64, device=device)
        values = function(points)
        self._begins = values.float()
        self._steps = values.diff(append=values[-1:]).float()
        self._scale = (size - 1) / (2 * REACH)

    def __call__(self, x: Tensor) -> Tensor:
        """The function of each number, in its dtype."""
        place = x.float().clamp(-REACH, REACH).add_(REACH).mul_(self._scale)
        at = place.nan_to_num(0.0).int()  # NaN stays one by what is added to the line's begin
        inside = torch.addcmul(self._begins[at], self._steps[at], place.sub_(at))
        beyond = x.clamp(min=0)
        return torch.where(x.abs() > REACH, beyond, inside.to(x.dtype))


def use_tables(model: nn.Module, size: int) -> None:
    """Let a model's feed-forward blocks read their activation from a table of ``size`` points."""
    for module in model.modules():
        if isinstance(module, GLU | MLP):
            device = next(chain(module.parameters(), module.buffers())).device  # packed: buffers
            module.activation = LookUp(module.activation, size, device)
