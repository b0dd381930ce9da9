"""What each token of a batch costs a model."""

import torch
from torch import Tensor

from tissu_core.models.decoder import Decoder
from tissu_core.models.score import target_nll


def token_losses(model: Decoder, windows: Tensor, at_once: int) -> Tensor:
    """-log p of tokens 1..T of each window, in nats; NaN for one that is no target.

    Shapes: windows (B, T+1) on the CPU; returns (B, T) in fp32 there.
    """
    model.eval()
    losses = torch.full(windows[:, 1:].shape, torch.nan)
    for rows, found in zip(
        torch.split(windows, at_once), torch.split(losses, at_once), strict=True
    ):
        found[rows[:, 1:] >= 0] = target_nll(model, rows.to(model.device)).cpu()
    return losses
