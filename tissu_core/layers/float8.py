"""A linear layer's three products in float8: forward, and back to its input and to its weight.

Every tensor is scaled as a whole, anew each time, so that its largest number is the format's
largest. What is kept forward has more digits (e4m3), what comes back more range (e5m2); sums are in
fp32, results in bf16, and the weight itself stays as it is.
Source: Micikevicius et al. 2022, arXiv:2209.05433.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

KEPT, RETURNED = torch.float8_e4m3fn, torch.float8_e5m2
MULTIPLE = 16
"""Cards multiply float8 where both sides of a matrix are multiples of this."""
_OUT = torch.bfloat16
_LEAST = 1e-30
"""The largest number of a tensor counts as no less: a tensor of zeros has a scale, too."""


def float8_linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """The linear layer x W^T + bias. Shapes: (..., inputs) to (..., outputs), both multiples of 16.

    Rows of zeros fill up the number of rows, over which the weight's gradient is summed.
    """
    rows = x.flatten(0, -2)
    count = len(rows)
    if count % MULTIPLE:
        rows = F.pad(rows, (0, 0, 0, -count % MULTIPLE))
    product: Tensor = _Product.apply(rows, weight)  # type: ignore[no-untyped-call]
    out = product[:count].view(*x.shape[:-1], -1)
    return out if bias is None else out + bias.to(out.dtype)


def round_to(x: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """The tensor in float8, and what it was divided by; what is not finite spoils all of it."""
    largest = x.detach().abs().amax().float().clamp(min=_LEAST)
    scale = largest / torch.finfo(dtype).max
    return (x.float() / scale).to(dtype), scale


class _Product(torch.autograd.Function):
    """x W^T. Kept for the way back: x in float8, and the weight, which is there anyway.

    A float8 copy of the weight would stay until then, where FSDP2 frees what it gathered.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor) -> Tensor:
        x8, x_scale = round_to(x, KEPT)
        w8, w_scale = round_to(weight, KEPT)
        ctx.save_for_backward(x8, x_scale, weight, w_scale)
        ctx.dtype = x.dtype
        # On a CPU torch multiplies in fp32 what these stand for, which autocast would round again.
        with torch.autocast(x.device.type, enabled=False):
            return _multiply(x8, x_scale, w8, w_scale)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor | None]:
        x8, x_scale, weight, w_scale = ctx.saved_tensors
        g8, g_scale = round_to(gradients[0], RETURNED)
        to_x = to_weight = None
        if ctx.needs_input_grad[0]:
            w8 = (weight.float() / w_scale).to(KEPT)
            to_x = _multiply(g8, g_scale, w8.t(), w_scale).to(ctx.dtype)
        if ctx.needs_input_grad[1]:
            to_weight = _multiply(g8.t(), g_scale, x8.t(), x_scale).to(weight.dtype)
        return to_x, to_weight


def _multiply(left: Tensor, left_scale: Tensor, right: Tensor, right_scale: Tensor) -> Tensor:
    """The product left right^T; float8 goes rows by rows alone, so what is turned is copied."""
    return torch._scaled_mm(
        left.contiguous(),
        right.contiguous().t(),
        scale_a=left_scale,
        scale_b=right_scale,
        out_dtype=_OUT,
    )
