"""Predict the next token of every position."""

from dataclasses import dataclass

from torch import Tensor

from tissu_core.models.decoder import Decoder
from tissu_core.models.loss import linear_nll_sum
from tissu_core.models.targets import read_ids


@dataclass(frozen=True, slots=True)
class LossOutput:
    """The summed loss of a micro-batch, in nats, and over how many targets."""

    loss_sum: Tensor
    num_targets: int


def next_token(
    model: Decoder,
    windows: Tensor,
    *,
    is_masked: bool = False,
    label_smoothing: float = 0.0,
    z_loss: float = 0.0,
) -> LossOutput:
    """Cross-entropy of each window's tokens 1..T given what stands before them.

    In windows that are masked, ``~id`` is read and no target; only targets meet the head.
    ``label_smoothing`` and ``z_loss`` are those of ``linear_nll_sum``. Shapes: windows (B, T+1).
    """
    hidden = model.model(read_ids(windows[:, :-1]) if is_masked else windows[:, :-1])
    hidden, targets = hidden.flatten(0, 1), windows[:, 1:].flatten()
    if is_masked:
        is_target = targets >= 0
        hidden, targets = hidden[is_target], targets[is_target]
    loss_sum = linear_nll_sum(
        hidden,
        model.lm_head.weight,
        targets,
        label_smoothing=label_smoothing,
        z_loss=z_loss,
        softcap=model.config.final_logit_softcapping,
    )
    return LossOutput(loss_sum, targets.numel())
