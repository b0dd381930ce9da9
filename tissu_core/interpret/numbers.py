"""Refusing to show what is no number."""

import torch
from torch import Tensor

from tissu_core.compress.finite import require_finite
from tissu_core.errors import InputError
from tissu_core.models.decoder import Decoder


def require_numbers(seen: Tensor, layer: str, model: Decoder) -> None:
    """Refuse what a layer computed if it is no number.

    Raises:
        InputError: Names the weight that is none; else the layer.
    """
    if torch.isfinite(seen).all():
        return
    require_finite(model, "spoils all that comes behind it")
    raise InputError(
        f"{layer} makes NaN or infinities of this prompt, though no weight is one",
        hint="use another checkpoint, or another prompt",
    )
