"""The ranks as a box of three sides: stages of layers, copies of the model, parts of each layer."""

from dataclasses import dataclass

from torch.distributed.device_mesh import init_device_mesh

from tissu_core.parallel.ranks import ALONE, Ranks


@dataclass(frozen=True, slots=True, kw_only=True)
class Mesh:
    """This process on each side of the box; ``tp`` times ``pp`` ranks hold one copy."""

    ranks: Ranks
    """All of them."""
    data: Ranks
    """Those that hold what this one holds, and read other rows of a batch."""
    tp: Ranks
    """Those that hold the other parts of the same layers, and read the same rows."""
    pp: Ranks
    """Those that hold the layers before and behind, and read the same rows."""

    @property
    def is_first(self) -> bool:
        """Whether the first layers are here."""
        return self.pp.rank == 0

    @property
    def is_last(self) -> bool:
        """Whether the last layers are here, and with them the loss."""
        return self.pp.rank == self.pp.world_size - 1

    @property
    def is_of_main_copy(self) -> bool:
        """Whether the copy that this rank holds a part of is the main rank's."""
        return self.data.is_main


def build_mesh(ranks: Ranks, *, tp: int, pp: int, device: str) -> Mesh:
    """Parts of a layer are neighbours, which say most to each other; stages are furthest apart."""
    sizes = {"pp": pp, "data": ranks.world_size // (tp * pp), "tp": tp}
    box = init_device_mesh(device, tuple(sizes.values()), mesh_dim_names=tuple(sizes))
    sides = {
        name: Ranks(box.get_local_rank(name), size, ranks.local_rank, box.get_group(name))
        if size > 1
        else ALONE
        for name, size in sizes.items()
    }
    return Mesh(ranks=ranks, **sides)
