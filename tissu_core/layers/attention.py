"""Causal self-attention with grouped queries."""

from contextlib import nullcontext
from typing import Protocol, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.attention.flex_attention import BlockMask

from tissu_core.config.model import ModelConfig
from tissu_core.layers.cpu_attention import blocked_causal_attention, suits_blocks
from tissu_core.layers.eager_attention import attention_shares, eager_attention
from tissu_core.layers.flex_attention import attend_flexibly, block_mask, causal_block_mask
from tissu_core.layers.kv_cache import LayerCache
from tissu_core.layers.linear import Linear
from tissu_core.layers.masks import (
    attention_mask,
    hide_other_documents,
    hide_padding,
)
from tissu_core.layers.norms import build_norm
from tissu_core.layers.positions import alibi_slopes
from tissu_core.layers.rope import apply_rope

Shown = Tensor | BlockMask
"""What each query of rows of several documents sees: (B, 1 or H, T, T), or the same by blocks."""
Rope = tuple[Tensor, Tensor]
"""Cosines and sines of the positions being read, each (T, R/2) of R rotated channels or, of padded
rows, (B, T, R/2)."""


class Reader(Protocol):
    """Plain causal attention of T queries at the end of S keys."""

    def suits(self, queries: Tensor) -> bool:
        """Whether it computes these, (B, H, T, D)."""

    def __call__(self, queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        """(B, H, T, D) of queries, and of keys and values (B, K, S, D)."""


class Attention(nn.Module):
    """H query heads read K key/value heads, H/K queries each.

    Sources: grouped queries, Ainslie et al. 2023, arXiv:2305.13245; QK-norm, Henry et al. 2020,
    arXiv:2010.04245; windows, Beltagy et al. 2020, arXiv:2004.05150.
    Shapes: (B, T, C) to (B, T, C).
    """

    def __init__(self, config: ModelConfig, layer_index: int) -> None:
        super().__init__()
        width, head_dim = config.hidden_size, config.head_dim
        self.num_heads, self.num_kv_heads = config.num_attention_heads, config.num_key_value_heads
        self.head_dim, self.dropout = head_dim, 0.0
        self.implementation = "auto"
        kind = config.layer_kinds[layer_index]
        self.window, self.has_rope = kind.window, kind.has_rope
        bias = config.has_bias("qkv")
        self.q_proj = Linear(width, self.num_heads * head_dim, bias=bias)
        self.k_proj = Linear(width, self.num_kv_heads * head_dim, bias=bias)
        self.v_proj = Linear(width, self.num_kv_heads * head_dim, bias=bias)
        self.o_proj = Linear(self.num_heads * head_dim, width, bias=config.has_bias("o"))
        self.q_norm: nn.Module = nn.Identity()
        self.k_norm: nn.Module = nn.Identity()
        if config.qk_norm:
            self.q_norm, self.k_norm = (
                build_norm(config.norm, head_dim, config.norm_eps, bias=config.use_bias)
                for _ in range(2)
            )
        self.qkv_proj: nn.Module | None = None
        """The three in one, where a model is made to decode (``models/fuse.py``)."""
        self.qk_norm: nn.Module = nn.Identity()
        self.reader: Reader | None = None
        """What attends faster than torch, where a model is made to decode."""
        has_slopes = config.position_embedding == "alibi"
        # Attention divides by sqrt(head_dim): the queries make up for the rest.
        self.query_scale = (head_dim / (config.query_pre_attn_scalar or head_dim)) ** 0.5
        self.softcap = config.attn_logit_softcapping
        self.slopes = tuple(alibi_slopes(self.num_heads).tolist()) if has_slopes else ()

    def forward(
        self,
        x: Tensor,
        rope: Rope | None,
        cache: LayerCache | None = None,
        padding: Tensor | None = None,
        shown: Shown | None = None,
    ) -> Tensor:
        """Attend to x and to what the cache holds, but not to a row's first ``padding`` slots.

        ``shown`` is what ``show_documents`` makes, where a row has several.
        """
        batch, time, _ = x.shape
        projected = self._project(x, rope if self.has_rope else None)
        queries, keys, values = (heads.transpose(1, 2) for heads in projected)
        if cache is not None:
            keys, values = (kept.to(queries.dtype) for kept in cache.append(keys, values))
            if padding is not None:  # of the keys that a window has left
                padding = padding - (cache.length - keys.shape[2])
        mixed = self._attend(queries, keys, values, padding, shown)
        out: Tensor = self.o_proj(mixed.transpose(1, 2).reshape(batch, time, -1))
        return out

    def shares(self, x: Tensor, rope: Rope | None) -> Tensor:
        """What each head reads of each token of x, a text from its start, as ``forward`` does.

        Shapes: x (B, T, C); returns (B, H, T, T) in fp32, of which each row sums to 1.
        """
        queries, keys, _ = self._project(x, rope if self.has_rope else None)
        mask = attention_mask(x.shape[1], x.shape[1], self.window, self.slopes, x.device)
        queries, keys = (heads.transpose(1, 2).float() for heads in (queries, keys))
        return attention_shares(queries, keys, mask, self.softcap)

    def _project(self, x: Tensor, rope: Rope | None) -> tuple[Tensor, Tensor, Tensor]:
        """Queries (B, T, H, D), keys and values (B, T, K, D), normed and rotated."""
        batch, time, _ = x.shape
        if self.qkv_proj is not None:
            heads = self.qkv_proj(x).view(batch, time, -1, self.head_dim)
            turned, values = heads.split([self.num_heads + self.num_kv_heads, self.num_kv_heads], 2)
            turned = self.qk_norm(turned)
            if rope is not None:
                turned = apply_rope(turned, *rope)
            queries, keys = turned.split([self.num_heads, self.num_kv_heads], 2)
        else:
            queries = self.q_norm(self.q_proj(x).view(batch, time, self.num_heads, self.head_dim))
            keys = self.k_norm(self.k_proj(x).view(batch, time, self.num_kv_heads, self.head_dim))
            values = self.v_proj(x).view(batch, time, self.num_kv_heads, self.head_dim)
            if rope is not None:
                queries, keys = apply_rope(queries, *rope), apply_rope(keys, *rope)
        if self.query_scale != 1:
            queries = queries * self.query_scale
        return queries, keys, values

    def show_documents(self, documents: Tensor) -> Shown:
        """What each token of rows of several documents sees: (B, T), the number of each token's."""
        time, device = documents.shape[1], documents.device
        if self._way == "flex":
            return block_mask(time, self.window, documents, device)
        mask = attention_mask(time, time, self.window, self.slopes, device)
        return hide_other_documents(mask, documents)

    @property
    def _way(self) -> str:
        """What computes; only steps of training do it as they are told."""
        return self.implementation if torch.is_grad_enabled() else "auto"

    def _attend(
        self,
        queries: Tensor,
        keys: Tensor,
        values: Tensor,
        padding: Tensor | None,
        shown: Shown | None,
    ) -> Tensor:
        """Causal attention of T queries at the end of S keys: (B, H, T, D)."""
        time, seen = queries.shape[2], keys.shape[2]
        dropout = self.dropout if self.training else 0.0
        way = self._way
        if way == "flex":
            return self._attend_flexibly(queries, keys, values, shown)
        is_bent = bool(self.slopes) or self.softcap is not None
        is_cut = self.window is not None and self.window < seen
        is_whole = not is_cut and padding is None and shown is None
        is_masked = is_bent or not is_whole or time not in {1, seen}
        is_training = torch.is_grad_enabled() and padding is None and self.softcap is None
        is_blocked = is_training and shown is None and way == "auto"
        if is_blocked and suits_blocks(queries, keys, dropout, is_masked=is_masked):
            groups = self.num_heads // self.num_kv_heads
            keys, values = (x.repeat_interleave(groups, dim=1) for x in (keys, values))
            return blocked_causal_attention(queries, keys, values, self.window, self.slopes)
        if self.reader is not None and is_whole and not is_bent and self.reader.suits(queries):
            return self.reader(queries, keys, values)
        mask = None
        if is_masked or way == "eager":
            mask = cast(Tensor, shown)  # this way's ``show_documents`` makes no other
            if shown is None:
                mask = attention_mask(time, seen, self.window, self.slopes, queries.device)
            mask = mask if padding is None else hide_padding(mask, padding)
            mask = mask if mask.dtype == torch.bool else mask.to(queries.dtype)
        if mask is not None and (self.softcap is not None or way == "eager"):
            return eager_attention(queries, keys, values, mask, self.softcap, dropout)
        if mask is not None and way == "flash":
            mask = mask[None] if mask.ndim == 3 else mask  # which takes no other
        with sdpa_kernel(SDPBackend.FLASH_ATTENTION) if way == "flash" else nullcontext():
            return F.scaled_dot_product_attention(
                queries,
                keys,
                values,
                attn_mask=mask,
                dropout_p=dropout,
                is_causal=mask is None and time > 1,
                enable_gqa=self.num_kv_heads != self.num_heads,
            )

    def _attend_flexibly(
        self, queries: Tensor, keys: Tensor, values: Tensor, shown: Shown | None
    ) -> Tensor:
        mask = shown or causal_block_mask(queries.shape[2], self.window, queries.device)
        slopes = torch.tensor(self.slopes, device=queries.device) if self.slopes else None
        return attend_flexibly(queries, keys, values, cast(BlockMask, mask), slopes, self.softcap)
