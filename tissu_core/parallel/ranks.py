"""The processes that train together: which one this is, and how they agree."""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from tissu_core.errors import ResourceError
from tissu_core.parallel.place import Place

T = TypeVar("T")
_PATIENCE = timedelta(minutes=30)
"""How long one rank waits for another: the first prepares the text of all."""
_CPU = torch.device("cpu")


@dataclass(frozen=True, slots=True)
class Ranks:
    """This process among those that train together. All of them call the same, in one order."""

    rank: int = 0
    world_size: int = 1
    local_rank: int = 0
    """Among those of this machine: the number of its GPU."""
    group: dist.ProcessGroup | None = None
    """Theirs alone, where they are some of all; ranks are counted within it."""

    @property
    def is_main(self) -> bool:
        """Whether this is the one that writes and speaks."""
        return self.rank == 0

    @property
    def are_many(self) -> bool:
        """Whether there is anyone to agree with."""
        return self.world_size > 1

    def add_up(self, tensor: Tensor) -> Tensor:
        """The sum over all ranks, in place."""
        if self.are_many:
            dist.all_reduce(tensor, group=self.group)
        return tensor

    def largest(self, *numbers: float) -> tuple[float, ...]:
        """The largest that any rank has of each number; about 0.2 ms over gloo on one machine."""
        if not self.are_many:
            return numbers
        told = torch.tensor(numbers, dtype=torch.float64)
        dist.all_reduce(told, dist.ReduceOp.MAX, group=self.group)
        return tuple(told.tolist())

    def from_main(self, deed: Callable[[], T]) -> T:
        """What ``deed`` gives on the main rank, on every rank.

        Raises:
            Exception: Everywhere, what was raised there.
        """
        if not self.are_many:
            return deed()
        told: list[Any] = [None]
        if self.is_main:
            try:
                told = [deed()]
            except Exception as error:  # noqa: BLE001  all raise it
                told = [_Refused(error)]
        dist.broadcast_object_list(told, group_src=0, group=self.group, device=_CPU)
        if isinstance(told[0], _Refused):
            raise told[0].error
        return told[0]  # type: ignore[no-any-return]

    def collect(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The named tensors of all ranks on the main one; its own alone elsewhere."""
        if not self.are_many:
            return dict(tensors)
        told: list[Any] = [None] * self.world_size
        described = [(n, t.shape, t.dtype) for n, t in tensors.items()]
        dist.all_gather_object(told, described, group=self.group)
        if not self.is_main:
            for tensor in tensors.values():
                sent = tensor.detach().cpu().contiguous()
                dist.send(sent, group_dst=0, group=self.group)
            return dict(tensors)
        found = dict(tensors)
        for rank in range(1, self.world_size):
            for name, shape, dtype in told[rank]:
                found[name] = torch.empty(shape, dtype=dtype)
                dist.recv(found[name], group_src=rank, group=self.group)
        return found

    def spread(self, tensors: Mapping[str, Tensor], device: torch.device) -> dict[str, Tensor]:
        """The named tensors of the main rank on every rank's device."""
        if not self.are_many:
            return {name: tensor.to(device) for name, tensor in tensors.items()}
        described = self.from_main(lambda: [(n, t.shape, t.dtype) for n, t in tensors.items()])
        found = {}
        for name, shape, dtype in described:
            tensor = tensors[name].to(device).contiguous() if self.is_main else None
            found[name] = (
                torch.empty(shape, dtype=dtype, device=device) if tensor is None else tensor
            )
            dist.broadcast(found[name], group_src=0, group=self.group)
        return found


@dataclass(frozen=True)
class _Refused:
    error: Exception


ALONE = Ranks()


@contextmanager
def joined(place: Place | None, *, on_gpu: bool) -> Iterator[Ranks]:
    """This process among the others, until the end of the block.

    Raises:
        ResourceError: If they do not meet.
    """
    if place is None:
        yield ALONE
        return
    if on_gpu:
        torch.cuda.set_device(place.local_rank)
    _meet(place, "cpu:gloo,cuda:nccl" if on_gpu else "gloo")
    try:
        yield Ranks(place.rank, place.world_size, place.local_rank)
    finally:
        dist.destroy_process_group()


def _meet(place: Place, backend: str) -> None:
    # An elastic launcher has a store of its own, which it tells by the environment.
    is_elastic = "TORCHELASTIC_RUN_ID" in os.environ
    where = f"{place.address}:{place.port}"
    try:
        dist.init_process_group(
            backend,
            init_method="env://" if is_elastic else f"tcp://{where}",
            rank=place.rank,
            world_size=place.world_size,
            timeout=_PATIENCE,
        )
    except (RuntimeError, ValueError) as error:
        is_taken = "EADDRINUSE" in str(error) or "in use" in str(error)
        why = "that port is taken" if is_taken else str(error).splitlines()[0][:200]
        raise ResourceError(
            f"rank {place.rank} of {place.world_size} does not meet the others at {where}: {why}",
            hint="export MASTER_PORT=29511, or another free one, for all of them"
            if is_taken
            else f"tissu doctor --procs {place.world_size}",
        ) from error
