"""torch's FlexAttention: windows, slopes, soft caps and documents in one compiled kernel.

Source: Dong et al. 2024, arXiv:2412.05496. Blocks of scores that a mask hides whole are left out,
which no other kernel here does for documents. On a CPU it has no backward when it is compiled;
there it is computed as it is written, which is for tests.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import Any, cast

import torch
from torch import Tensor
from torch.nn.attention.flex_attention import BlockMask, create_block_mask, flex_attention


def block_mask(
    time: int, window: int | None, documents: Tensor | None, device: torch.device
) -> BlockMask:
    """What a query sees: what is before it, in the window and, of each row, in its document.

    Shapes: documents (B, T), the number of each token's.
    """

    def is_seen(row: Tensor, head: Tensor, query: Tensor, key: Tensor) -> Tensor:
        seen = query >= key
        if window is not None:
            seen = seen & (query - key < window)
        if documents is not None:
            seen = seen & (documents[row, query] == documents[row, key])
        return seen

    rows = None if documents is None else len(documents)
    return create_block_mask(is_seen, rows, None, time, time, device=str(device))


@lru_cache(maxsize=8)  # the layers of a model ask for the same one, one after the other
def causal_block_mask(time: int, window: int | None, device: torch.device) -> BlockMask:
    """That of rows that are one document each."""
    with torch.inference_mode(False):
        return block_mask(time, window, None, device)


def attend_flexibly(
    queries: Tensor,
    keys: Tensor,
    values: Tensor,
    mask: BlockMask,
    slopes: Tensor | None,
    cap: float | None,
) -> Tensor:
    """softmax(soft_cap(Q K^T / sqrt(D)) - slope x distance) V over what the mask shows.

    Shapes: queries (B, H, T, D), keys and values (B, K, T, D), slopes (H,); returns (B, H, T, D).
    """

    def score(score: Tensor, row: Tensor, head: Tensor, query: Tensor, key: Tensor) -> Tensor:
        if cap is not None:
            score = cap * torch.tanh(score / cap)
        if slopes is not None:
            score = score - slopes[head] * (query - key)
        return score

    is_plain = cap is None and slopes is None
    is_traced = torch.compiler.is_compiling() or queries.device.type == "cpu"
    attend = cast(Callable[..., Any], flex_attention) if is_traced else _compiled()
    out: Tensor = attend(
        queries,
        keys,
        values,
        score_mod=None if is_plain else score,
        block_mask=mask,
        enable_gqa=queries.shape[1] != keys.shape[1],
    )
    return out


@lru_cache(maxsize=1)
def _compiled() -> Callable[..., Any]:
    return torch.compile(flex_attention)
