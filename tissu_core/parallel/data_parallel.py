"""A whole model on each rank."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, TypeVar

import torch.distributed as dist
from torch import Tensor
from torch.nn.parallel import DistributedDataParallel

from tissu_core.models.decoder import Decoder
from tissu_core.parallel.layouts import Layout, Named
from tissu_core.parallel.ranks import Ranks

T = TypeVar("T")


class DataParallel(Layout):
    """A whole model on each rank; torch's DistributedDataParallel adds up the gradients."""

    def __init__(self, model: Decoder, ranks: Ranks, bucket_mb: int) -> None:
        super().__init__(model, ranks)
        self._wrapped = DistributedDataParallel(
            self._replica,
            device_ids=None,
            bucket_cap_mb=bucket_mb,
            gradient_as_bucket_view=True,
            # A mixture may send no token to an expert.
            find_unused_parameters=bool(model.config.num_local_experts),
        )

    def compute(self, deed: Callable[..., T], *given: Any) -> T:
        """As in one process."""
        return self._wrapped(deed, *given)  # type: ignore[no-any-return]

    def sharing(self, *, is_last: bool) -> AbstractContextManager[object]:
        """The gradients of all but the last micro-batch stay here."""
        return nullcontext() if is_last else self._wrapped.no_sync()


class MomentsSharded(DataParallel):
    """Each tensor belongs to one rank, which keeps its moments, moves it and sends it round.

    Whole tensors, unlike torch's ZeroRedundancyOptimizer, which knows one kind of optimizer: Muon
    needs a matrix whole, and so its products are divided among the ranks, too.
    """

    def __init__(self, model: Decoder, ranks: Ranks, bucket_mb: int) -> None:
        super().__init__(model, ranks, bucket_mb)
        self._owner = owners(self.parameters(), ranks)

    def owned(self) -> Named:
        """What belongs to this rank."""
        return [(n, p) for n, p in self.parameters() if self._owner[n] == self.ranks.rank]

    def after_step(self) -> None:
        """Every tensor from its owner to all; sent in one go, waited for once."""
        sent = [
            dist.broadcast(parameter.detach(), self._owner[name], async_op=True)
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
