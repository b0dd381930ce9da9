"""What keeps a loss that is no number away from the weights.

A step whose loss or gradient is not finite is left out. That is judged and counted on the device,
so that no step waits; the counts are read when something is reported or saved.
"""

from collections.abc import Iterator

import torch
from torch import Tensor

from tissu_core.checkpoint.training_state import TrainState
from tissu_core.errors import DivergedError
from tissu_core.events.shared import Noticed
from tissu_core.training.loss_scale import LossScale, overflowed

TOLERATED_SKIPS = 3
"""So many steps in a row may be left out before a run is called diverged."""


class Containment:
    """Judges steps and counts those that are left out."""

    def __init__(self, state: TrainState, device: torch.device, precision: str) -> None:
        self._loss_scale = LossScale(state, device) if precision == "fp16" else None
        self._skips = torch.tensor(state.unreported_skips, device=device)
        self._in_row = torch.tensor(state.skips_in_row, device=device)

    @property
    def loss_scale(self) -> Tensor | None:
        """What the loss is multiplied by on the way back; None where numbers reach far enough."""
        return None if self._loss_scale is None else self._loss_scale.factor

    def judge(self, loss: Tensor, grad_norm: Tensor) -> Tensor:
        """Whether a step must not move a weight: a boolean on the device."""
        is_bad = ~(grad_norm.isfinite() & loss.isfinite().to(grad_norm.device))
        self._skips += is_bad
        # Beyond the limit it only grows, so that a row which ended before anybody looked is seen.
        in_row = (self._in_row + 1) * (is_bad | (self._in_row > TOLERATED_SKIPS))
        if self._loss_scale is not None:  # an overflow neither makes a row nor ends one
            is_overflow = self._loss_scale.judge(loss, grad_norm)
            in_row = torch.where(is_overflow, self._in_row, in_row)
        self._in_row = in_row
        return is_bad

    def read_into(self, state: TrainState) -> None:
        """Bring the counts into the state; waits for the device."""
        state.unreported_skips, state.skips_in_row = int(self._skips), int(self._in_row)
        if self._loss_scale is not None:
            self._loss_scale.read_into(state)

    def say_into(self, state: TrainState) -> Iterator[Noticed]:
        """The same, with a word on what was left out since."""
        skips, overflows = state.unreported_skips, state.unreported_overflows
        self.read_into(state)
        overflows = state.unreported_overflows - overflows
        skips = state.unreported_skips - skips - overflows
        if overflows:
            yield overflowed(overflows, state)
        if skips:
            yield skipped(skips, state.step)


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
