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


def next_token(
    model: Decoder, windows: Tensor, *, label_smoothing: float = 0.0, z_loss: float = 0.0
) -> LossOutput:
    """Cross-entropy of each window's tokens 1..T given what stands before them.

    ``label_smoothing`` and ``z_loss`` are those of ``linear_nll_sum``. Shapes: windows (B, T+1).
    """
    hidden = model.model(windows[:, :-1])
    targets = windows[:, 1:]
    loss_sum = linear_nll_sum(
        hidden.flatten(0, 1),
        model.lm_head.weight,
        targets.flatten(),
        label_smoothing=label_smoothing,
        z_loss=z_loss,
        softcap=model.config.final_logit_softcapping,
    )
    return LossOutput(loss_sum, targets.numel())
