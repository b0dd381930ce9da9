"""Attention written out: what the library's kernels are measured by, and what they cannot do."""

import torch
import torch.nn.functional as F
from torch import Tensor

from tissu_core.layers.soft_cap import soft_cap

BLOCK = 256
"""Queries at once: the scores of 8,192 on as many keys would take 2 GB of fp32 for 8 heads."""


def eager_attention(
    queries: Tensor, keys: Tensor, values: Tensor, mask: Tensor, cap: float | None, dropout: float
) -> Tensor:
    """softmax(mask(soft_cap(Q K^T / sqrt(D)))) V; the softmax is computed in fp32 (fp64 of fp64).

    Shapes: queries (B, H, T, D), keys and values (B, K, S, D); mask, as ``attention_mask`` gives
    it, expands to (B, H, T, S); returns (B, H, T, D).
    """
    batch, kv_heads, seen = keys.shape[:3]
    mixed = []
    is_traced = not torch.compiler.is_compiling() and torch._C._is_tracing()
    is_followed = is_traced or torch.compiler.is_exporting()
    rows_at_once = queries.shape[2] if is_followed else BLOCK
    blocks = torch.split(queries, rows_at_once, dim=2), torch.split(mask, rows_at_once, dim=-2)
    for rows, bias in zip(*blocks, strict=True):
        shares = attention_shares(rows, keys, bias, cap)
        shares = F.dropout(shares, dropout).to(values.dtype)
        mixed.append((shares.view(batch, kv_heads, -1, seen) @ values).view_as(rows))
    return torch.cat(mixed, dim=2)


def attention_shares(queries: Tensor, keys: Tensor, mask: Tensor, cap: float | None) -> Tensor:
    """softmax(mask(soft_cap(Q K^T / sqrt(D)))): what each query reads of each key, in all one.

    Shapes: as of ``eager_attention``; returns (B, H, T, S) in fp32 (fp64 of fp64).
    """
    (batch, heads), (kv_heads, seen) = queries.shape[:2], keys.shape[1:3]
    scale, wide = queries.shape[3] ** -0.5, torch.promote_types(queries.dtype, torch.float32)
    # The queries that read one key head are rows of one product.
    scores = queries.reshape(batch, kv_heads, -1, queries.shape[3]) @ keys.mT
    scores = scores * scale if cap is None else soft_cap(scores * scale, cap)
    scores = scores.view(batch, heads, -1, seen)
    is_seen = mask.dtype == torch.bool
    scores = scores.masked_fill(~mask, float("-inf")) if is_seen else scores + mask
    return scores.softmax(-1, dtype=wide)
