"""Packed matrices of a decoder in the form in which this processor multiplies them fastest."""

import torch
from torch import nn

from tissu_core.layers.norms import LayerNorm, RMSNorm
from tissu_core.layers.packed import PackedEmbedding, PackedLinear
from tissu_core.layers.packed_kernel import GROUPS, KernelLinear, has_kernel
from tissu_core.models.decoder import Decoder


@torch.no_grad()
def use_kernels(model: Decoder) -> Decoder:
    """Give packed matrices to torch's kernel for 4 bits, and compute in bf16 with it, in place.

    Models without such matrices, and processors without the kernel, stay as they are.
    """
    found = [layer for layer in model.modules() if isinstance(layer, PackedLinear)]
    if not found or model.device.type != "cpu" or not has_kernel():
        return model
    for parent in list(model.modules()):
        for name, layer in list(parent.named_children()):
            if isinstance(layer, PackedLinear) and layer.group in GROUPS:
                setattr(parent, name, KernelLinear(layer))
            elif isinstance(layer, RMSNorm | LayerNorm | nn.Linear):
                layer.to(torch.bfloat16)
    tokens = model.model.embed_tokens
    if isinstance(tokens, PackedEmbedding):
        tokens.dtype = torch.bfloat16
    return model
