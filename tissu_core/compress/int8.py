"""Weights rounded to int8, one scale for each output."""

import torch
from torch import Tensor, nn

from tissu_core.layers.int8 import Int8Embedding
from tissu_core.models.decoder import Decoder
from tissu_core.models.packed import projection, replace_layers


@torch.no_grad()
def quantize_int8(model: Decoder) -> Decoder:
    """Round a decoder's matrices in place, one after the other, so that none stands there twice."""
    return replace_layers(model, round_rows)


def round_rows(_: str, layer: nn.Module) -> nn.Module:
    """The int8 layer for a projection or an embedding; replaces it."""
    assert isinstance(layer, nn.Linear | nn.Embedding)
    made = Int8Embedding(*layer.weight.shape)
    made.weight, made.weight_scale = quantize_rows(layer.weight)
    return made if isinstance(layer, nn.Embedding) else projection(made, layer.bias)


def quantize_rows(weight: Tensor) -> tuple[Tensor, Tensor]:
    """Whole numbers in -127..127 and a scale for each row, which is its largest magnitude / 127.

    Shapes: weight (R, C); returns (R, C) int8 and (R,) fp32.
    """
    weight = weight.float()
    scale = weight.abs().amax(dim=1) / 127
    rounded = (weight / scale.clamp(min=torch.finfo(torch.float32).tiny)[:, None]).round()
    return rounded.clamp(-127, 127).to(torch.int8), scale
