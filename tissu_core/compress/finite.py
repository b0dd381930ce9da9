"""What cannot be rounded."""

import torch

from tissu_core.errors import InputError
from tissu_core.models.decoder import Decoder


def require_finite(model: Decoder) -> None:
    """Refuse weights that are no numbers.

    Raises:
        InputError: Names the first.
    """
    for name, weight in model.named_parameters():
        if not torch.isfinite(weight).all():
            kind = "NaN" if weight.isnan().any() else "an infinity"
            raise InputError(
                f"{name} holds {kind}, which has no level to be rounded to",
                hint="tissu inspect weights shows where; use another checkpoint",
            )
