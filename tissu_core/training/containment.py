"""What keeps a loss that is no number away from the weights.

A step whose loss or gradient is not finite is left out. That is judged and counted on the device,
so that no step waits; the counts are read when something is reported or saved.
"""

import torch
from torch import Tensor

from tissu_core.checkpoint.training_state import TrainState
from tissu_core.errors import DivergedError
from tissu_core.events.shared import Noticed

TOLERATED_SKIPS = 3
"""So many steps in a row may be left out before a run is called diverged."""


class Containment:
    """Judges steps and counts those that are left out."""

    def __init__(self, state: TrainState, device: torch.device) -> None:
        self._skips = torch.tensor(state.unreported_skips, device=device)
        self._in_row = torch.tensor(state.skips_in_row, device=device)

    def judge(self, loss: Tensor, grad_norm: Tensor) -> Tensor:
        """Whether a step must not move a weight: a boolean on the device."""
        is_bad = ~(grad_norm.isfinite() & loss.isfinite().to(grad_norm.device))
        self._skips += is_bad
        # Beyond the limit it only grows, so that a row which ended before anybody looked is seen.
        self._in_row = (self._in_row + 1) * (is_bad | (self._in_row > TOLERATED_SKIPS))
        return is_bad

    def read_into(self, state: TrainState) -> None:
        """Bring the counts into the state; waits for the device."""
        state.unreported_skips, state.skips_in_row = int(self._skips), int(self._in_row)


def is_diverged(state: TrainState) -> bool:
    """Whether more steps in a row were left out than are tolerated."""
    return state.skips_in_row > TOLERATED_SKIPS


def skipped(count: int, step: int) -> Noticed:
    """Steps were left out."""
    return Noticed(
        level="warning",
        text=f"{count} of the steps up to {step} {'was' if count == 1 else 'were'} left out: "
        "the loss or its gradient was no number",
    )


def rolled_back(error: DivergedError, step: int) -> Noticed:
    """The run is back at a checkpoint, and will read other text."""
    return Noticed(
        level="warning",
        text=f"{error.message}; the run went back to step {step}, and goes on with the text behind",
    )


def diverged(step: int, learning_rate: float, files: list[str]) -> DivergedError:
    """The loss is no number, from this step on."""
    more = f" and {len(files) - 3} more" if len(files) > 3 else ""
    return DivergedError(
        f"the loss stopped being a number at step {step}, at a learning rate of "
        f"{learning_rate:.3g}, on text from {', '.join(files[:3])}{more}",
        safe="the last checkpoint, which was saved while it was one",
        hint=f"tissu train --resume last --override --lr {learning_rate / 3:.2g}",
    )
