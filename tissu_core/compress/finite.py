"""What cannot be rounded."""

from tissu_core.errors import InputError
from tissu_core.models.decoder import Decoder
from tissu_core.models.finite import find_not_finite


def require_finite(model: Decoder) -> None:
    """Refuse weights that are no numbers.

    Raises:
        InputError: Names the first.
    """
    if found := find_not_finite(model):
        raise InputError(
            f"{found}, which has no level to be rounded to",
            hint="tissu inspect weights shows where; use another checkpoint",
        )
