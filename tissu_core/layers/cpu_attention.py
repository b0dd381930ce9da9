"""Causal attention for training on a CPU, as batched products over blocks of queries.

torch's fused CPU kernel saves memory and pays for it in time: in bf16 on 2 cores, forward and
backward of 24 x 4 heads x 128 x 64 take 0.4 of its time here, of 8 x 6 x 512 x 64 half; in fp32
1.2 at 256 and 0.9 at 512 (benchmarks/layers.py). A block of queries reads only the keys up to its
end, so about half of the products are left out.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from tissu_core.layers.masks import attention_mask

BLOCK = 128
LONGEST = 1024
"""Beyond this the kept probabilities (B H T^2 numbers a layer) cost more than the kernel saves."""
SHORTEST_FP32 = 384
"""Below this the library's kernel is the faster one in fp32, unless it needs a mask."""


def suits_blocks(queries: Tensor, keys: Tensor, dropout: float, *, is_masked: bool) -> bool:
    """Whether the blocks are the faster way: training on a CPU, without dropout, not too long.

    ``is_masked``: the library would be given a mask, for a window or slopes.
    """
    time = queries.shape[2]
    is_fast = is_masked or queries.dtype.itemsize < 4 or time >= SHORTEST_FP32
    is_training = queries.device.type == "cpu" and dropout == 0 and time == keys.shape[2]
    return is_fast and is_training and time <= LONGEST


def blocked_causal_attention(
    queries: Tensor,
    keys: Tensor,
    values: Tensor,
    window: int | None = None,
    slopes: tuple[float, ...] = (),
) -> Tensor:
    """softmax(mask(Q K^T / sqrt(D))) V, with a window of keys and one ALiBi slope a head, if any.

    Shapes: all (B, H, T, D), with as many key heads as query heads; returns (B, H, T, D).
    Scores are held in the inputs' dtype, as autocast does; the softmax accumulates in fp32.
    """
    batch, heads, time, head_dim = queries.shape
    flat = [x.reshape(batch * heads, time, head_dim) for x in (queries, keys, values)]
    out: Tensor = _attend(*flat, window or 0, torch.tensor(slopes))[0]
    return out.view(batch, heads, time, head_dim)


# Operators of their own, so that a compiled model has them as one step each: traced through, their
# blocks would be unrolled into every layer's code. Window 0 is none; autograd is registered below.
@torch.library.custom_op("tissu::blocked_attention", mutates_args=())
def _attend(q: Tensor, k: Tensor, v: Tensor, window: int, slopes: Tensor) -> list[Tensor]:
    """The output, and behind it each block's probabilities."""
    bias = _bias(q.shape[1], window, tuple(slopes.tolist()), q.dtype)
    out = torch.empty_like(q)
    kept = []
    for rows, seen in _blocks(q.shape[1], window):
        block = bias[:, rows, seen]
        if len(slopes):  # each head's bias once for every sequence
            block = block.repeat(q.shape[0] // len(slopes), 1, 1)
        scores = torch.baddbmm(block, q[:, rows], k[:, seen].mT, alpha=q.shape[2] ** -0.5)
        kept.append(scores.softmax(-1))
        out[:, rows] = torch.bmm(kept[-1], v[:, seen])
    return [out, *kept]


@torch.library.custom_op("tissu::blocked_attention_backward", mutates_args=())
def _attend_backward(
    grad: Tensor, q: Tensor, k: Tensor, v: Tensor, kept: Sequence[Tensor], window: int
) -> list[Tensor]:
    scale = q.shape[2] ** -0.5
    grad_q, grad_k, grad_v = torch.empty_like(q), torch.zeros_like(k), torch.zeros_like(v)
    for (rows, seen), probabilities in zip(_blocks(q.shape[1], window), kept, strict=True):
        grad_v[:, seen].baddbmm_(probabilities.mT, grad[:, rows])
        delta = torch.bmm(grad[:, rows], v[:, seen].mT)
        delta = torch._softmax_backward_data(delta, probabilities, -1, delta.dtype)
        grad_q[:, rows] = torch.bmm(delta, k[:, seen]).mul_(scale)
        grad_k[:, seen].baddbmm_(delta.mT, q[:, rows], alpha=scale)
    return [grad_q, grad_k, grad_v]


@_attend.register_fake
def _(q: Tensor, k: Tensor, v: Tensor, window: int, slopes: Tensor) -> list[Tensor]:
    blocks = _blocks(q.shape[1], window)
    sizes = [(q.shape[0], rows.stop - rows.start, seen.stop - seen.start) for rows, seen in blocks]
    return [torch.empty_like(q), *(q.new_empty(size) for size in sizes)]


@_attend_backward.register_fake
def _(
    grad: Tensor, q: Tensor, k: Tensor, v: Tensor, kept: Sequence[Tensor], window: int
) -> list[Tensor]:
    return [torch.empty_like(x) for x in (q, k, v)]


def _keep(ctx: Any, inputs: tuple[Any, ...], output: list[Tensor]) -> None:
    q, k, v, ctx.window, _ = inputs
    ctx.save_for_backward(q, k, v, *output[1:])


def _differentiate(ctx: Any, gradients: list[Tensor]) -> tuple[Tensor | None, ...]:
    q, k, v, *kept = ctx.saved_tensors
    grads = _attend_backward(gradients[0].contiguous(), q, k, v, kept, ctx.window)
    return (*grads, None, None)


_attend.register_autograd(_differentiate, setup_context=_keep)


def _blocks(time: int, window: int) -> list[tuple[slice, slice]]:
    """Rows of queries, and the keys that any of them sees."""
    begins = range(0, time, BLOCK)
    first = [max(0, begin - window + 1) if window else 0 for begin in begins]
    ends = [min(begin + BLOCK, time) for begin in begins]
    return [
        (slice(begin, end), slice(seen, end))
        for begin, seen, end in zip(begins, first, ends, strict=True)
    ]


@lru_cache(maxsize=4)
def _bias(time: int, window: int | None, slopes: tuple[float, ...], dtype: torch.dtype) -> Tensor:
    """What is added to the scores: (1 or H, T, T)."""
    mask = attention_mask(time, time, window or None, slopes, torch.device("cpu"))
    if slopes:
        return mask.to(dtype)
    return torch.zeros(1, time, time, dtype=dtype).masked_fill(~mask, float("-inf"))
