"""Weights rounded to int8, one scale for each output."""

import torch
from torch import Tensor, nn

from tissu_core.layers.int8 import Int8Embedding, Int8Linear
from tissu_core.models.decoder import Decoder
from tissu_core.models.int8 import share_tied, use_int8_layers


@torch.no_grad()
def quantize_int8(model: Decoder) -> Decoder:
    """Round a decoder's matrices in place, one after the other, so that none stands there twice."""
    weights: dict[str, Tensor] = {
        name: module.weight
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear) or module is model.model.embed_tokens
    }
    use_int8_layers(model)
    for name in list(weights):
        layer = model.get_submodule(name)
        assert isinstance(layer, Int8Linear | Int8Embedding)
        layer.weight, layer.weight_scale = quantize_rows(weights.pop(name))
    return share_tied(model)


def quantize_rows(weight: Tensor) -> tuple[Tensor, Tensor]:
    """Whole numbers in -127..127 and a scale for each row, which is its largest magnitude / 127.

    Shapes: weight (R, C); returns (R, C) int8 and (R,) fp32.
    """
    weight = weight.float()
    scale = weight.abs().amax(dim=1) / 127
    rounded = (weight / scale.clamp(min=torch.finfo(torch.float32).tiny)[:, None]).round()
    return rounded.clamp(-127, 127).to(torch.int8), scale
