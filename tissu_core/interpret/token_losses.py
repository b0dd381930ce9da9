"""What each token of a batch costs a model."""

import torch
from torch import Tensor

from tissu_core.models.decoder import Decoder
from tissu_core.models.loss import linear_nll
from tissu_core.models.targets import read_ids


@torch.inference_mode()
def token_losses(model: Decoder, windows: Tensor, at_once: int) -> Tensor:
    """-log p of tokens 1..T of each window, in nats; NaN for one that is no target.

    Shapes: windows (B, T+1) on the CPU; returns (B, T) in fp32 there.
    """
    model.eval()
    softcap = model.config.final_logit_softcapping
    found = []
    for rows in torch.split(windows, at_once):
        ids = read_ids(rows).to(model.device)
        hidden = model.model(ids[:, :-1]).flatten(0, 1)
        nll = linear_nll(hidden, model.head_weight(), ids[:, 1:].flatten(), softcap)
        nll = nll.view(len(rows), -1).cpu()
        found.append(nll.masked_fill(rows[:, 1:] < 0, torch.nan))
    return torch.cat(found)
