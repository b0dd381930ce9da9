"""A decoder made to decode: matrices that read the same input become one.

Files and names stay plain: this is done in memory to a model that only reads and writes text.
"""

import copy
from typing import cast

import torch
from torch import Tensor, nn

from tissu_core.layers.attention import Attention
from tissu_core.layers.feed_forward import GLU
from tissu_core.layers.int8 import Int8Linear
from tissu_core.layers.norms import RMSNorm
from tissu_core.layers.packed import PackedLinear
from tissu_core.models.decoder import Decoder

Projection = nn.Linear | Int8Linear | PackedLinear


@torch.no_grad()
def fuse(model: Decoder) -> Decoder:
    """Join queries, keys and values, and gate and up, in place, where they are of one kind."""
    for module in model.modules():
        if isinstance(module, Attention):
            _fuse_attention(module)
        elif isinstance(module, GLU) and (joined := _join(module.gate_proj, module.up_proj)):
            module.gate_up_proj = joined
            del module.gate_proj, module.up_proj
    return model


def _fuse_attention(attention: Attention) -> None:
    norms = [attention.q_norm, attention.k_norm]
    if not all(isinstance(norm, nn.Identity | RMSNorm) for norm in norms):
        return
    joined = _join(attention.q_proj, attention.k_proj, attention.v_proj)
    if joined is None:
        return
    attention.qkv_proj = joined
    if isinstance(norms[0], RMSNorm):
        counts = [attention.num_heads, attention.num_kv_heads]
        weights = [
            cast(Tensor, norm.weight).expand(count, -1)
            for norm, count in zip(norms, counts, strict=True)
        ]
        attention.qk_norm = norms[0]
        attention.qk_norm.weight = nn.Parameter(torch.cat(weights))
    del attention.q_proj, attention.k_proj, attention.v_proj, attention.q_norm, attention.k_norm


def _join(*layers: nn.Module) -> nn.Module | None:
    """One layer whose outputs are those of all, or None of layers of several kinds."""
    if not isinstance(layers[0], Projection) or len({_kind(layer) for layer in layers}) > 1:
        return None
    joined: Projection = copy.deepcopy(layers[0])
    for name in (*joined._parameters, *joined._buffers):
        tensors = [getattr(layer, name) for layer in layers]
        if tensors[0] is not None:
            rows = torch.cat(tensors)
            is_learned = isinstance(tensors[0], nn.Parameter)
            setattr(joined, name, nn.Parameter(rows) if is_learned else rows)
    joined.out_features = sum(cast(Projection, layer).out_features for layer in layers)
    return joined


def _kind(layer: nn.Module) -> tuple[object, ...]:
    """What two layers have in common whose rows can stand in one matrix."""
    named = {**layer._parameters, **layer._buffers}
    return type(layer), *(
        (name, tensor.dtype, tensor.shape[1:])
        for name, tensor in named.items()
        if tensor is not None
    )
