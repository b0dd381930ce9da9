"""Weights rounded to 4 bits by groups of inputs, to the nearest level."""

import torch
from torch import Tensor, nn

from tissu_core.compress.groups import choose_levels, round_to
from tissu_core.compress.int8 import round_rows
from tissu_core.layers.packed import PackedEmbedding, pack
from tissu_core.models.decoder import Decoder
from tissu_core.models.packed import PackedLayer, projection, replace_layers

BITS = 4
_ROWS = 1024
"""Rounded at once, so that what is tried on the way to a scale stays small."""


@torch.no_grad()
def quantize_int4(model: Decoder, group: int) -> Decoder:
    """Round the matrices of a decoder's blocks in place, one after the other.

    The embedding and the head become int8, as do matrices whose rows ``group`` does not divide;
    what is packed already stays as it is.
    """

    def rounded(name: str, layer: nn.Module) -> nn.Module | None:
        if isinstance(layer, PackedLayer):
            return None
        if not takes_groups(name, layer, group):
            return round_rows(name, layer)
        assert isinstance(layer, nn.Linear)
        return projection(round_groups(layer.weight, group), layer.bias)

    return replace_layers(model, rounded)


def takes_groups(name: str, layer: nn.Module, group: int) -> bool:
    """Whether a layer is one of a block's, of whose rows groups leave nothing over.

    What chooses among experts is not: a small change there is another expert.
    """
    if ".layers." not in name or name.endswith(".gate") or not isinstance(layer, nn.Linear):
        return False
    return layer.in_features % group == 0


def round_groups(weight: Tensor, group: int) -> PackedEmbedding:
    """Packed rows of a matrix (R, C)."""
    count, size = weight.shape
    made = PackedEmbedding(count, size, BITS, group)
    parts = [_round_part(part, group) for part in torch.split(weight, _ROWS)]
    made.weight, made.weight_scale, made.weight_min = map(torch.cat, zip(*parts, strict=True))
    return made


def _round_part(weight: Tensor, group: int) -> tuple[Tensor, Tensor, Tensor]:
    grouped = weight.float().view(len(weight), -1, group)
    scale, low = choose_levels(grouped, BITS)
    return pack(round_to(grouped, scale, low, BITS).flatten(1), BITS), scale, low
