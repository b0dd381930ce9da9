"""Parameters that training leaves as they are."""

from collections.abc import Collection

from tissu_core.models.decoder import Decoder


def freeze(model: Decoder, names: Collection[str]) -> None:
    """Take these parameters out of training: no gradient is made for them, no optimizer has them.

    A tied head is the embedding by another name, so freezing one freezes both.
    """
    for name, parameter in model.named_parameters(remove_duplicate=False):
        if name in names:
            parameter.requires_grad_(False)
