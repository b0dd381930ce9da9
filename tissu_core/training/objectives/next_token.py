"""Predict the next token of every position."""

from dataclasses import dataclass

from torch import Tensor

from tissu_core.models.decoder import Decoder
from tissu_core.models.loss import linear_nll_sum


@dataclass(frozen=True, slots=True)
class LossOutput:
    """The summed loss of a micro-batch, in nats, and over how many targets."""

    loss_sum: Tensor
    num_targets: int


def next_token(model: Decoder, windows: Tensor) -> LossOutput:
    """Cross-entropy of each window's tokens 1..T given what stands before them.

    Shapes: windows (B, T+1).
    """
    hidden = model.model(windows[:, :-1])
    targets = windows[:, 1:]
    return LossOutput(
        linear_nll_sum(hidden.flatten(0, 1), model.lm_head.weight, targets.flatten()),
        targets.numel(),
    )
