"""What cannot be computed with."""

from tissu_core.errors import InputError
from tissu_core.models.decoder import Decoder
from tissu_core.models.finite import find_not_finite


def require_finite(model: Decoder, why: str = "has no level to be rounded to") -> None:
    """Refuse weights, packed ones too, that are no numbers; ``why`` says what such a one lacks.

    Raises:
        InputError: Names the first.
    """
    if found := find_not_finite(model):
        raise InputError(
            f"{found}, which {why}",
            hint='tissu inspect weights "**" shows where; use another checkpoint',
        )
