"""Weights that are no numbers.

They are looked for before a model is read: what it makes of them may look like numbers. Torch's
attention for processors with AVX-512 gives zeros where all of a query's scores are NaN.
"""

import torch
from torch import nn


def find_not_finite(model: nn.Module) -> str | None:
    """The first tensor with NaN or an infinity and which it holds, as a sentence begins."""
    for name, tensor in model.state_dict().items():
        if tensor.is_floating_point() and not torch.isfinite(tensor).all():
            return f"{name} holds {'NaN' if tensor.isnan().any() else 'an infinity'}"
    return None
