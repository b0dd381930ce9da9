"""A whole model on each rank."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.algorithms.ddp_comm_hooks.default_hooks import allreduce_hook
from torch.futures import Future, wait_all
from torch.nn.parallel import DistributedDataParallel

from tissu_core.models.decoder import Decoder
from tissu_core.parallel.layouts import Layout, Named
from tissu_core.parallel.ranks import Ranks
from tissu_core.parallel.sums import average

T = TypeVar("T")


class DataParallel(Layout):
    """The same model on each rank; torch's DistributedDataParallel adds up the gradients.

    It sends each as soon as it is there; where it is not ``is_streaming``, since several
    micro-batches are on their way at once, they are sent at the end of a step.
    """

    def __init__(
        self, model: Decoder, ranks: Ranks, bucket_mb: int, *, is_streaming: bool = True
    ) -> None:
        super().__init__(model, ranks)
        self._are_unused = bool(model.config.num_local_experts)
        """Whether parameters may have no gradient: a mixture may send no token to an expert."""
        self._wrapped: DistributedDataParallel | None = None
        self._sent: list[Future[Tensor]] = []
        """Of the buckets of this step, in order: those whose sums have begun."""
        if not is_streaming:
            return
        self._wrapped = DistributedDataParallel(
            self._replica,
            device_ids=None,
            process_group=ranks.group,
            bucket_cap_mb=bucket_mb,
            gradient_as_bucket_view=True,
            find_unused_parameters=self._are_unused,
        )
        self._wrapped.register_comm_hook((ranks.group, self._sent), _send)

    def compute(self, deed: Callable[..., T], *given: Any) -> T:
        """As in one process."""
        return (self._wrapped or self._replica)(deed, *given)  # type: ignore[no-any-return]

    def accumulate(
        self,
        micros: Sequence[Tensor],
        forward: Callable[[Tensor], Tensor],
        backward: Callable[[Tensor], None],
    ) -> None:
        """As in one process; what torch does at the second step's first forward comes before it.

        All ranks take part in that, and one may run out of memory before it is there.
        """
        if self._wrapped is not None:
            self._wrapped.reducer._rebuild_buckets()
        super().accumulate(micros, forward, backward)

    def give_up(self) -> None:
        """Send nothing in each bucket that the others wait for, as torch's Join does."""
        assert self._wrapped is not None
        reducer = self._wrapped.reducer
        buckets = reducer._get_zeros_like_grad_buckets()
        if missing := buckets[len(self._sent) :]:
            for bucket in missing:
                reducer._run_comm_hook(bucket)
            if self._are_unused:
                dist.all_reduce(reducer._get_local_used_map(), group=self.ranks.group)
        wait_all(self._sent)

    def begin_again(self) -> None:
        """Buckets that are half full are not missed."""
        super().begin_again()
        self._sent.clear()
        if self._wrapped is not None:
            self._wrapped.reducer._reset_state()

    def sharing(self, *, is_last: bool) -> AbstractContextManager[object]:
        """The gradients of all but the last micro-batch stay here."""
        if is_last or self._wrapped is None:
            return nullcontext()
        return self._wrapped.no_sync()

    def take_gradients(self) -> None:
        """Those that were not sent on the way."""
        self._sent.clear()
        if self._wrapped is not None:
            return
        learning = [parameter for _, parameter in self.parameters()]
        if self._are_unused and learning:
            used = self.ranks.largest(*(p.grad is not None for p in learning))
            learning = [p for p, is_used in zip(learning, used, strict=True) if is_used]
            for parameter in learning:
                if parameter.grad is None:
                    parameter.grad = torch.zeros_like(parameter)
        average([p.grad for p in learning if p.grad is not None], self.ranks)


def _send(
    to: tuple[dist.ProcessGroup | None, list[Future[Tensor]]],
    bucket: dist.GradBucket,  # type: ignore[name-defined]
) -> Future[Tensor]:
    """What torch does without being told, written down. No method: torch never lets go of one."""
    group, sent = to
    sent.append(allreduce_hook(group, bucket))  # type: ignore[arg-type]
    return sent[-1]


class MomentsSharded(DataParallel):
    """Each tensor belongs to one rank, which keeps its moments, moves it and sends it round.

    Whole tensors, unlike torch's ZeroRedundancyOptimizer, which knows one kind of optimizer: Muon
    needs a matrix whole, and so its products are divided among the ranks, too.
    """

    def __init__(
        self, model: Decoder, ranks: Ranks, bucket_mb: int, *, is_streaming: bool = True
    ) -> None:
        super().__init__(model, ranks, bucket_mb, is_streaming=is_streaming)
        self._owner = owners(self.parameters(), ranks)

    def owned(self) -> Named:
        """What belongs to this rank."""
        return [(n, p) for n, p in self.parameters() if self._owner[n] == self.ranks.rank]

    def after_step(self) -> None:
        """Every tensor from its owner to all; sent in one go, waited for once."""
        sent = [
            dist.broadcast(
                parameter.detach(),
                group_src=self._owner[name],
                group=self.ranks.group,
                async_op=True,
            )
            for name, parameter in self.parameters()
        ]
        for work in sent:
            assert work is not None
            work.wait()
        self.model.zero_grad(set_to_none=True)

    def gathered(self, moments: dict[str, Tensor]) -> dict[str, Tensor]:
        """From their owners."""
        return self.ranks.collect(moments)


def owners(parameters: Named, ranks: Ranks) -> dict[str, int]:
    """The rank of each tensor: the largest first, to whoever has least; matrices apart from others.

    A pure function of names and shapes, so all ranks find the same.
    """
    found: dict[str, int] = {}
    for is_matrix in (True, False):
        held = [0] * ranks.world_size
        chosen = [(n, p) for n, p in parameters if (p.ndim > 1) == is_matrix]
        for name, parameter in sorted(chosen, key=lambda pair: (-pair[1].numel(), pair[0])):
            rank = held.index(min(held))
            held[rank] += parameter.numel()
            found[name] = rank
    return found
