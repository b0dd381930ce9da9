"""A part of each weight on each rank."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor

from tissu_core.models.decoder import Decoder
from tissu_core.parallel.layouts import Layout, Named
from tissu_core.parallel.ranks import Ranks


class ModelSharded(Layout):
    """Weights, gradients and moments in parts, by torch's FSDP2: rows of each tensor on each rank.

    With ``is_kept`` the weights of the blocks stay whole between forward and backward.
    """

    is_whole = False
    can_begin_again = False  # each layer's weights are gathered on the way, by all ranks

    def __init__(self, model: Decoder, ranks: Ranks, *, is_kept: bool) -> None:
        super().__init__(model, ranks)
        self._is_kept = is_kept
        device = next(model.parameters()).device.type
        mesh = (
            init_device_mesh(device, (ranks.world_size,))
            if ranks.group is None
            else DeviceMesh.from_group(ranks.group, device)
        )
        for block in model.model.layers:
            fully_shard(block, mesh=mesh, reshard_after_forward=not is_kept)
        fully_shard(self._replica, mesh=mesh, reshard_after_forward=False)
        # The optimizer sees plain tensors that share the shards' memory: fused steps, masks of
        # steps that are left out and norms need know nothing of shards.
        self._shards = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
        self._local = [(name, nn.Parameter(_shard(p).to_local())) for name, p in self._shards]

    @property
    def _fsdp(self) -> FSDPModule:
        assert isinstance(self._replica, FSDPModule)
        return self._replica

    @contextmanager
    def sharing(self, *, is_last: bool) -> Iterator[None]:
        """The gradients of all but the last micro-batch stay here, whole."""
        self._fsdp.set_requires_gradient_sync(is_last)
        yield

    def parameters(self) -> Named:
        """This rank's rows of each."""
        return self._local

    def take_gradients(self) -> None:
        """This rank's rows of each gradient."""
        for (_, shard), (_, own) in zip(self._shards, self._local, strict=True):
            own.grad = _shard(shard.grad).to_local() if shard.grad is not None else None
            shard.grad = None

    def norm(self, tensors: Sequence[Tensor | None]) -> Tensor:
        """Over the rows of all ranks."""
        own = super().norm(tensors)
        return self.ranks.add_up(own.square()).sqrt()

    @contextmanager
    def whole(self) -> Iterator[Decoder]:
        """Every weight is whole: what is gathered in inference mode could not learn any more."""
        with torch.no_grad():  # a forward of the root, which FSDP2 wants to see before a block's
            self.compute(_nothing)
        modules = [self._fsdp, *self._blocks]
        for module in modules:
            module.set_reshard_after_forward(False, recurse=False)
            module.unshard()
        try:
            yield self.model
        finally:
            for module in modules:
                module.set_reshard_after_forward(
                    not self._is_kept and module is not self._fsdp, recurse=False
                )
                module.reshard()

    @property
    def _blocks(self) -> Iterator[FSDPModule]:
        for block in self.model.model.layers:
            assert isinstance(block, FSDPModule)
            yield block

    def weights(self) -> dict[str, Tensor]:
        """Each gathered in turn; kept on the main rank alone."""
        found = {}
        for name, value in self.model.state_dict().items():
            whole = value.full_tensor() if isinstance(value, DTensor) else value
            if self.ranks.is_main:
                found[name] = whole.cpu()
        return found

    def load_weights(self, weights: dict[str, Tensor]) -> None:
        """This rank's rows of each."""
        for name, value in self.model.state_dict().items():
            if isinstance(value, DTensor):
                value.to_local().copy_(_part(value, weights[name]))
            else:
                value.copy_(weights[name])

    def gathered(self, moments: dict[str, Tensor]) -> dict[str, Tensor]:
        """Each gathered in turn; a count of steps is no part of anything."""
        shards, found = dict(self._shards), {}
        for key, value in moments.items():
            shard = _shard(shards[key.rpartition("/")[0]])
            if value.shape == shard.to_local().shape and value.ndim:
                rows = DTensor.from_local(
                    value,
                    shard.device_mesh,
                    shard.placements,
                    shape=shard.shape,
                    stride=shard.stride(),
                )
                value = rows.full_tensor()
            if self.ranks.is_main:
                found[key] = value.cpu()
        return found

    def scattered(self, moments: dict[str, Tensor]) -> dict[str, Tensor]:
        """This rank's rows of each."""
        shards, found = dict(self._shards), {}
        for key, moment in moments.items():
            shard = shards.get(key.rpartition("/")[0])
            is_part = shard is not None and moment.ndim and moment.shape == shard.shape
            found[key] = _part(_shard(shard), moment) if is_part and shard is not None else moment
        return found


def _nothing(model: Decoder) -> None:
    """No use of the model but that its root is called."""


def _shard(tensor: Tensor) -> DTensor:
    assert isinstance(tensor, DTensor)
    return tensor


def _part(shard: DTensor, whole: Tensor) -> Tensor:
    whole = whole.to(shard.device)
    return distribute_tensor(
        whole, shard.device_mesh, shard.placements, src_data_rank=None
    ).to_local()
