"""Causal self-attention with grouped queries, QK-norm and rotary positions."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tissu_core.layers.cpu_attention import blocked_causal_attention, suits_blocks
from tissu_core.layers.kv_cache import LayerCache
from tissu_core.layers.norms import RMSNorm
from tissu_core.layers.rope import apply_rope


class Attention(nn.Module):
    """H query heads read K key/value heads, H/K queries each.

    Sources: grouped queries, Ainslie et al. 2023, arXiv:2305.13245; QK-norm, Henry et al. 2020,
    arXiv:2010.04245.
    Shapes: (B, T, C) to (B, T, C).
    """

    def __init__(
        self,
        hidden_size: int,
        *,
        num_heads: int,
        num_kv_heads: int,
        head_dim: int,
        norm_eps: float,
        dropout: float,
    ) -> None:
        super().__init__()
        self.num_heads, self.num_kv_heads, self.head_dim = num_heads, num_kv_heads, head_dim
        self.dropout = dropout
        self.q_proj = nn.Linear(hidden_size, num_heads * head_dim, bias=False)
        self.k_proj = nn.Linear(hidden_size, num_kv_heads * head_dim, bias=False)
        self.v_proj = nn.Linear(hidden_size, num_kv_heads * head_dim, bias=False)
        self.o_proj = nn.Linear(num_heads * head_dim, hidden_size, bias=False)
        self.q_norm = RMSNorm(head_dim, norm_eps)
        self.k_norm = RMSNorm(head_dim, norm_eps)

    def forward(
        self, x: Tensor, cos: Tensor, sin: Tensor, cache: LayerCache | None = None
    ) -> Tensor:
        """Attend to x and to what the cache holds; cos and sin are (T, D/2) of x's positions."""
        batch, time, _ = x.shape
        queries = self.q_proj(x).view(batch, time, self.num_heads, self.head_dim)
        keys = self.k_proj(x).view(batch, time, self.num_kv_heads, self.head_dim)
        values = self.v_proj(x).view(batch, time, self.num_kv_heads, self.head_dim).transpose(1, 2)
        queries = apply_rope(self.q_norm(queries), cos, sin).transpose(1, 2)
        keys = apply_rope(self.k_norm(keys), cos, sin).transpose(1, 2)
        if cache is not None:
            keys, values = cache.append(keys, values)
        mixed = self._attend(queries, keys, values)
        out: Tensor = self.o_proj(mixed.transpose(1, 2).reshape(batch, time, -1))
        return out

    def _attend(self, queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        """Causal attention of T queries at the end of S keys: (B, H, T, D)."""
        time, dropout = queries.shape[2], self.dropout if self.training else 0.0
        if torch.is_grad_enabled() and suits_blocks(queries, keys, dropout):
            groups = self.num_heads // self.num_kv_heads
            keys, values = (x.repeat_interleave(groups, dim=1) for x in (keys, values))
            return blocked_causal_attention(queries, keys, values)
        mask = None
        if 1 < time < keys.shape[2]:  # a block of queries behind earlier keys
            mask = causal_mask(time, keys.shape[2], queries.device)
        return F.scaled_dot_product_attention(
            queries,
            keys,
            values,
            attn_mask=mask,
            dropout_p=dropout,
            is_causal=mask is None and time > 1,
            enable_gqa=self.num_kv_heads != self.num_heads,
        )


def causal_mask(time: int, keys: int, device: torch.device) -> Tensor:
    """(T, S) booleans: the last T of S positions see what is not after them."""
    return torch.ones(time, keys, dtype=torch.bool, device=device).tril(keys - time)
