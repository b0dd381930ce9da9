"""Weights that are no numbers."""

import torch
from torch import nn


def find_not_finite(model: nn.Module) -> str | None:
    """The first tensor with NaN or an infinity and which it holds, as a sentence begins."""
    for name, tensor in model.state_dict().items():
        if tensor.is_floating_point() and not torch.isfinite(tensor).all():
            return f"{name} holds {'NaN' if tensor.isnan().any() else 'an infinity'}"
    return None
