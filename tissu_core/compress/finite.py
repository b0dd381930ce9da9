"""What cannot be computed with."""

import torch

from tissu_core.errors import InputError
from tissu_core.models.decoder import Decoder


def require_finite(model: Decoder, why: str = "has no level to be rounded to") -> None:
    """Refuse weights, packed ones too, that are no numbers; ``why`` says what such a one lacks.

    Raises:
        InputError: Names the first.
    """
    for name, weight in (*model.named_parameters(), *model.named_buffers()):
        if not torch.isfinite(weight).all():
            kind = "NaN" if weight.isnan().any() else "an infinity"
            raise InputError(
                f"{name} holds {kind}, which {why}",
                hint="tissu inspect weights shows where; use another checkpoint",
            )
