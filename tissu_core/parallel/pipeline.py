"""Some of the layers on each rank: a pipeline through which the micro-batches of a step flow.

The schedule is one forward, one backward (PipeDream-Flush, Narayanan et al. 2020,
arXiv:2006.09503): no stage holds the activations of more micro-batches than there are stages. It is
tissu's own: torch.distributed.pipelining wants micro-batches of one size, a loss of its own shape
and a model that is called with tensors alone, and its interface may still change.

The rule of tied embeddings: first and last stage both hold the matrix, add up its gradients once a
step, and move it alike.
"""

from collections import deque
from collections.abc import Callable, Sequence
from typing import Literal

import torch
import torch.distributed as dist
from torch import Tensor, nn

from tissu_core.models.decoder import Decoder
from tissu_core.models.targets import read_ids
from tissu_core.parallel.ranks import Ranks

Turn = tuple[Literal["forward", "backward"], int]
TIED = "model.embed_tokens.weight"


def cut_stages(model: Decoder, pp: Ranks) -> None:
    """Leave this rank's layers in the model, under their names.

    The embedding is that of the first stage, norm and head are the last one's; of a tied matrix
    both have one.
    """
    is_first, is_last = pp.rank == 0, pp.rank == pp.world_size - 1
    stack, is_tied = model.model, model.config.tie_word_embeddings
    kept = layers_of(pp.rank, pp.world_size, model.config.num_hidden_layers)
    for number in range(model.config.num_hidden_layers):
        if number not in kept:
            delattr(stack.layers, str(number))
    if not is_first and not (is_tied and is_last):
        del stack.embed_tokens
    if not is_first and model.config.position_embedding == "learned":
        del stack.embed_positions
    if not is_last:
        stack.norm = nn.Identity()  # type: ignore[assignment]
        if not (is_tied and is_first):
            model.lm_head = nn.Identity()  # type: ignore[assignment]


def layers_of(stage: int, num_stages: int, num_layers: int) -> range:
    """Those of a stage; the last ones, which have the head too, are not given more than others."""
    first, behind = (-(-num_layers * place // num_stages) for place in (stage, stage + 1))
    return range(first, behind)


def turns(stage: int, num_stages: int, num_micros: int) -> list[Turn]:
    """What a stage does, in order: as many forwards ahead as there are stages behind it."""
    ahead = min(num_stages - 1 - stage, num_micros)
    order: list[Turn] = [("forward", number) for number in range(ahead)]
    for number in range(num_micros - ahead):
        order += [("forward", ahead + number), ("backward", number)]
    return [*order, *(("backward", number) for number in range(num_micros - ahead, num_micros))]


class Pipeline:
    """One stage among the others."""

    def __init__(self, model: Decoder, pp: Ranks, dtype: torch.dtype) -> None:
        """``dtype`` is that of what goes from stage to stage."""
        self._model, self._pp, self._dtype = model, pp, dtype
        self._device = next(model.parameters()).device
        # NCCL wants the first call in a group to be everybody's, and a message is that of two.
        pp.add_up(torch.zeros((), device=self._device))

    def run(
        self,
        micros: Sequence[Tensor],
        forward: Callable[[Tensor], Tensor],
        backward: Callable[[Tensor], None],
    ) -> None:
        """All micro-batches of a step, forward and back.

        ``forward`` gives what ``hidden`` does, or on the last stage a loss, which ``backward``
        takes.
        """
        begun: deque[tuple[Tensor | None, Tensor]] = deque()
        sent: tuple[Tensor | None, int] = None, 0
        for what, number in turns(self._pp.rank, self._pp.world_size, len(micros)):
            got = self._exchange(*sent, micros[number], -1 if what == "forward" else 1)
            if what == "forward":
                self._model.model.entered = None if got is None else got.requires_grad_()
                out = forward(micros[number])
                self._model.model.entered = None
                begun.append((got, out))
                sent = out.detach(), 1
                continue
            entered, out = begun.popleft()
            if got is None:
                backward(out)
            elif out.requires_grad:  # not where all layers so far are frozen
                out.backward(got)  # type: ignore[no-untyped-call]
            sent = entered.grad if entered is not None else None, -1
        self._exchange(*sent, None, 0)

    def hidden(self, model: Decoder, windows: Tensor) -> Tensor:
        """What leaves the last layer here: (B, T+1) to (B, T, C)."""
        hidden: Tensor = model.model(read_ids(windows[:, :-1]))
        return hidden.to(self._dtype)

    def _exchange(
        self, sent: Tensor | None, towards: int, micro: Tensor | None, side: int
    ) -> Tensor | None:
        """Send to the stage in one direction, and get of a micro-batch from that at one side.

        In one go: of two that send to each other one after the other, each would wait for ever.
        """
        operations = []
        if sent is not None and (peer := self._neighbour(towards)) is not None:
            operations.append(self._operation(dist.isend, sent.contiguous(), peer))
        got = None
        if micro is not None and (peer := self._neighbour(side)) is not None:
            rows, tokens = micro.shape
            shape = rows, tokens - 1, self._model.config.hidden_size
            got = torch.empty(shape, dtype=self._dtype, device=self._device)
            operations.append(self._operation(dist.irecv, got, peer))
        for work in dist.batch_isend_irecv(operations) if operations else ():
            work.wait()
        return got

    def _operation(self, deed: Callable[..., object], tensor: Tensor, peer: int) -> dist.P2POp:
        return dist.P2POp(deed, tensor, group=self._pp.group, group_peer=peer)

    def _neighbour(self, side: int) -> int | None:
        peer = self._pp.rank + side
        return peer if side and 0 <= peer < self._pp.world_size else None


def add_up_tied(gradient: Tensor, pp: Ranks) -> None:
    """The gradient of the matrix that first and last stage hold, in place, on both."""
    other = torch.empty_like(gradient)
    if pp.rank not in (0, pp.world_size - 1):
        return
    peer = pp.world_size - 1 - pp.rank
    operations = [
        dist.P2POp(dist.isend, gradient, group=pp.group, group_peer=peer),
        dist.P2POp(dist.irecv, other, group=pp.group, group_peer=peer),
    ]
    for work in dist.batch_isend_irecv(operations):
        work.wait()
    gradient += other  # of two numbers, whose sum is the same in either order
