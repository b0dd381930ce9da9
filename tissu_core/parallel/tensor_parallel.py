"""A part of every layer on each rank: whole heads, and a share of the feed-forward's width.

Source: Megatron-LM, Shoeybi et al. 2019, arXiv:1909.08053. Matrices that heads or that width come
out of are cut by their outputs, those that lead back by their inputs, so each half of a block is
added up over the ranks once on the way forward, and its input's gradient once on the way back.
The cuts are tissu's own: the model's parts stay plain tensors, of which the fused norm, the loss
and the optimizers need know nothing, as they would have to of torch's DTensor.

Embedding, head and norms are whole on each rank. The loss makes logits of a few rows at a time, so
the head asks for no memory that a cut would save, and it stays tied without a rule.
"""

from functools import partial
from typing import Any, cast

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn

from tissu_core.models.decoder import Block, Decoder
from tissu_core.parallel.ranks import Ranks

_BY_OUTPUTS = ("q_proj", "k_proj", "v_proj", "gate_proj", "up_proj")
_BY_INPUTS = ("o_proj", "down_proj")


def cut_layers(model: Decoder, tp: Ranks) -> dict[str, int]:
    """Leave this rank's part of each layer in the model; the dimension that a parameter is cut by.

    Parameters keep their names. What is not named is whole.
    """
    for layer in model.model.layers:
        block = cast(Block, layer)
        attention = block.self_attn
        attention.num_heads //= tp.world_size
        attention.num_kv_heads //= tp.world_size
        attention.slopes = tuple(part(torch.tensor(attention.slopes), 0, tp).tolist())
        for half in (attention, block.mlp):
            half.register_forward_pre_hook(partial(_enter, tp))
            for name, linear in list(half.named_children()):
                if name in _BY_INPUTS:
                    setattr(half, name, _AddedUp(cast(nn.Linear, linear), tp))
    cut = dimensions(model)
    for name, parameter in list(model.named_parameters()):
        if name in cut:
            path, _, own = name.rpartition(".")
            kept = nn.Parameter(part(parameter.detach(), cut[name], tp).clone())
            kept.requires_grad_(parameter.requires_grad)
            setattr(model.get_submodule(path), own, kept)
    return cut


def dimensions(model: Decoder) -> dict[str, int]:
    """By which dimension each parameter is cut."""
    found = {}
    for name, _ in model.named_parameters():
        *_, projection, kind = ["", *name.split(".")]
        if projection in _BY_OUTPUTS:
            found[name] = 0
        elif projection in _BY_INPUTS and kind == "weight":
            found[name] = 1
    return found


def is_of_heads(name: str) -> bool:
    """Whether a parameter that is whole meets this rank's heads alone: its gradient is a part."""
    return name.split(".")[-2:-1] in (["q_norm"], ["k_norm"])


def part(whole: Tensor, dimension: int, tp: Ranks) -> Tensor:
    """This rank's."""
    return whole.chunk(tp.world_size, dimension)[tp.rank] if whole.numel() else whole


def joined_parts(own: Tensor, dimension: int, tp: Ranks) -> Tensor:
    """The whole, of the parts of all ranks, on each."""
    parts = [
        torch.empty_like(own, memory_format=torch.contiguous_format) for _ in range(tp.world_size)
    ]
    dist.all_gather(parts, own.detach().contiguous(), group=tp.group)
    return torch.cat(parts, dimension)


class _AddedUp(nn.Module):
    """A linear layer whose inputs are on all ranks, a part on each; its bias is added once."""

    def __init__(self, linear: nn.Linear, tp: Ranks) -> None:
        super().__init__()
        self.weight, self._tp = linear.weight, tp
        self.bias: nn.Parameter | None = linear.bias

    def forward(self, x: Tensor) -> Tensor:
        """Each rank's products, added up."""
        summed: Tensor = _AddUp.apply(F.linear(x, self.weight), self._tp)  # type: ignore[no-untyped-call]
        return summed if self.bias is None else summed + self.bias.to(summed.dtype)


def _enter(tp: Ranks, module: nn.Module, given: tuple[Any, ...]) -> tuple[Any, ...]:
    x, *rest = given
    return (_Enter.apply(x, tp), *rest)  # type: ignore[no-untyped-call]


class _Enter(torch.autograd.Function):
    """The same on every rank, each of which has a part of its gradient."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, tp: Ranks) -> Tensor:
        ctx.tp = tp
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return ctx.tp.add_up(gradients[0].clone(memory_format=torch.contiguous_format)), None


class _AddUp(torch.autograd.Function):
    """A part on each rank, of whose sum each has the gradient."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, tp: Ranks) -> Tensor:
        return tp.add_up(x.clone(memory_format=torch.contiguous_format))

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return gradients[0], None
