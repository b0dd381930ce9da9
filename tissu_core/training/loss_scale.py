"""The factor on the loss that keeps small gradients above the smallest number of fp16.

Source: Micikevicius et al. 2018, arXiv:1710.03740. It follows the steps on the device, so that none
waits for it; the state has it when something is reported or saved.
"""

import torch
from torch import Tensor

from tissu_core.checkpoint.training_state import TrainState
from tissu_core.events.shared import Noticed

SMALLEST, FIRST, LARGEST = 1.0, 2.0**16, 2.0**24
GROWTH_STEPS = 2000
"""Steps without an overflow after which the factor doubles; the factors and this are those of
torch.amp.GradScaler."""


class LossScale:
    """A power of two: halved by a gradient that overflows, doubled when long none did."""

    def __init__(self, state: TrainState, device: torch.device) -> None:
        self.factor = torch.tensor(state.loss_scale or FIRST, device=device)
        self._good_steps = torch.tensor(state.loss_scale_good_steps, device=device)
        self._overflows = torch.tensor(state.unreported_overflows, device=device)

    def judge(self, loss: Tensor, grad_norm: Tensor) -> Tensor:
        """Whether a smaller factor would have helped this step, which it has from now on.

        Not where the loss itself is no number, nor at the smallest factor.
        """
        is_overflow = ~grad_norm.isfinite() & loss.isfinite().to(grad_norm.device)
        is_overflow &= self.factor > SMALLEST
        self._overflows += is_overflow
        self._good_steps = (self._good_steps + 1) * grad_norm.isfinite()
        is_due = self._good_steps >= GROWTH_STEPS
        self._good_steps *= ~is_due
        self.factor = self.factor * torch.where(is_overflow, 0.5, torch.where(is_due, 2.0, 1.0))
        self.factor.clamp_(SMALLEST, LARGEST)
        return is_overflow

    def read_into(self, state: TrainState) -> None:
        """Bring factor and counts into the state; waits for the device."""
        state.loss_scale, state.loss_scale_good_steps = float(self.factor), int(self._good_steps)
        state.unreported_overflows = int(self._overflows)


def overflowed(count: int, state: TrainState) -> Noticed:
    """Steps were left out, and will be no more at the smaller factor."""
    return Noticed(
        level="info",
        text=f"{count} of the steps up to {state.step} {'was' if count == 1 else 'were'} left out: "
        f"a gradient was too large for fp16; the loss is scaled by {state.loss_scale:g} now",
    )
