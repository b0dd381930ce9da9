"""Units of the feed-forward that do nothing: what ``down_proj`` reads of them is never of size."""

import math

from torch import Tensor

from tissu_core.models.decoder import Decoder

_SHARE = 1e-3
"""Of what the median unit reaches, which such a unit never exceeds. GELU and SiLU are not zero
where they are flat, so a bound of zero would find the dead of ReLU alone."""


def units_of(model: Decoder) -> list[str]:
    """The modules that read the units, of all blocks, and of all experts."""
    names = [name for name, _ in model.named_modules()]
    return [name for name in names if ".mlp." in name and name.endswith(".down_proj")]


def find_dead(tops: Tensor) -> tuple[int, ...]:
    """The dead among units, of which ``tops`` (F,) are the largest sizes over some tokens.

    What is infinite, or no number, is not dead.
    """
    known = tops.where(tops.isfinite(), math.nan)
    return tuple((known <= _SHARE * known.nanmedian()).nonzero().flatten().tolist())
