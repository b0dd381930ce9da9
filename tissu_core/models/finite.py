"""Weights that are no numbers.

They are looked for before a model is read: what it makes of them may look like numbers. Torch's
attention for processors with AVX-512 gives zeros where all of a query's scores are NaN.
"""

import torch
from torch import nn


def find_not_finite(model: nn.Module) -> str | None:
    """The first tensor with NaN or an infinity and which it holds, as a sentence begins."""
    for name, tensor in model.state_dict().items():
        if tensor.is_floating_point() and tensor.numel():
            ends = torch.stack(torch.aminmax(tensor))  # of NaN both are; one pass, nothing held
            if not ends.isfinite().all():
                return f"{name} holds {'NaN' if ends.isnan().any() else 'an infinity'}"
    return None
