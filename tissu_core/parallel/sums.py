"""Sums of many tensors over ranks, in few messages."""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from tissu_core.parallel.ranks import Ranks

_BUCKET_BYTES = 25 << 20


def add_up_all(tensors: Sequence[Tensor], ranks: Ranks) -> None:
    """Each tensor's sum over the ranks, in place."""
    if not ranks.are_many:
        return
    for bucket in _buckets(tensors):
        sums = ranks.add_up(torch.cat([tensor.flatten() for tensor in bucket]))
        parts = torch.split(sums, [tensor.numel() for tensor in bucket])
        for tensor, part in zip(bucket, parts, strict=True):
            tensor.copy_(part.view_as(tensor))


def average(tensors: Sequence[Tensor], ranks: Ranks) -> None:
    """Each tensor's mean over the ranks, in place."""
    add_up_all(tensors, ranks)
    if tensors and ranks.are_many:
        torch._foreach_div_(list(tensors), ranks.world_size)


def _buckets(tensors: Sequence[Tensor]) -> Iterator[list[Tensor]]:
    bucket: list[Tensor] = []
    held = 0
    for tensor in tensors:
        if bucket and held + tensor.nbytes > _BUCKET_BYTES:
            yield bucket
            bucket, held = [], 0
        bucket.append(tensor)
        held += tensor.nbytes
    if bucket:
        yield bucket
