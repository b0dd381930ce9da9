"""RMSprop: each gradient over the root of its running mean square.

Source: Tieleman and Hinton 2012, Neural networks for machine learning, lecture 6.5. torch's own has
no ``found_inf``, by which a step is left out without asking the device.
"""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor


class RMSprop(torch.optim.Optimizer):
    """torch.optim.RMSprop without momentum, which takes no step while ``found_inf`` is 1."""

    def __init__(
        self,
        params: Iterable[Tensor] | Iterable[dict[str, Any]],
        *,
        alpha: float = 0.99,
        eps: float = 1e-8,
    ) -> None:
        super().__init__(params, {"lr": 0.0, "alpha": alpha, "eps": eps, "weight_decay": 0.0})
        self.found_inf = torch.zeros(())

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """Move every parameter that has a gradient."""
        assert closure is None
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self._move(parameter, self.state[parameter]["square_avg"], group)

    def _move(self, parameter: Tensor, square_avg: Tensor, group: dict[str, Any]) -> None:
        is_bad = self.found_inf.to(parameter.device).bool()
        gradient = parameter.grad.add(parameter, alpha=group["weight_decay"])  # type: ignore[union-attr]
        mean = square_avg.mul(group["alpha"]).addcmul_(gradient, gradient, value=1 - group["alpha"])
        square_avg.copy_(torch.where(is_bad, square_avg, mean))
        step = gradient.div_(mean.sqrt_().add_(group["eps"])).mul_(group["lr"])
        parameter.sub_(torch.where(is_bad, 0.0, step))
