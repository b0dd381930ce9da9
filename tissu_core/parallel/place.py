"""What a launcher says of this process. Imports no torch."""

import os
from collections.abc import Mapping
from dataclasses import dataclass

from tissu_core.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Place:
    """What a launcher says of this process."""

    rank: int
    world_size: int
    local_rank: int
    """Among those of this machine: the number of its GPU."""
    address: str
    port: int


def find_place(environment: Mapping[str, str] = os.environ) -> Place | None:
    """This process's place as torchrun, Kubernetes' operators or Slurm name it; None if alone.

    Raises:
        ConfigError: If what they say is no number, or not all is said.
    """
    if "RANK" in environment and "WORLD_SIZE" in environment:
        names = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_PORT")
        defaults = {"LOCAL_RANK": "0", "MASTER_PORT": "29500"}
        address = environment.get("MASTER_ADDR", "127.0.0.1")
    elif environment.get("SLURM_NTASKS", "1") != "1" and "SLURM_PROCID" in environment:
        names = ("SLURM_PROCID", "SLURM_NTASKS", "SLURM_LOCALID", "MASTER_PORT")
        job = environment.get("SLURM_JOB_ID", "0")[-4:]  # two jobs on one machine have two ports
        defaults = {"MASTER_PORT": f"2{job:0>4}"}
        address = environment.get("MASTER_ADDR") or environment.get("SLURM_LAUNCH_NODE_IPADDR", "")
    else:
        return None
    try:
        rank, size, local, port = (int(environment.get(n) or defaults[n]) for n in names)
    except (KeyError, ValueError) as error:
        raise ConfigError(
            f"a launcher started this process, and does not say its place: {error}",
            field=names[0],
            hint=f"set {', '.join(names)}, or start it with torchrun",
        ) from error
    if not address:
        raise ConfigError(
            "Slurm does not say where the first process is",
            field="MASTER_ADDR",
            hint='export MASTER_ADDR=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)',
        )
    return Place(rank, size, local, address, port) if size > 1 else None
