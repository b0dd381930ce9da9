"""Room on the disk for a run's checkpoints, and what to say when there is none."""

from pathlib import Path

from tissu_core.errors import ResourceError
from tissu_core.runs.run_directory import run_directories
from tissu_core.storage import free_bytes

_SPARE = 1.2
"""Free space asked for over what checkpoints take: logs and other programs write too."""
_CHECKPOINTS = 2
"""So many are on disk at any time once a run is under way."""


def require_room(directory: Path, checkpoint_bytes: float, num_saved: int) -> None:
    """Refuse before the first step what the disk could not keep.

    Raises:
        ResourceError: If less is free than 1.2 times what is still to be written.
    """
    needed = _SPARE * checkpoint_bytes * max(1, _CHECKPOINTS - num_saved)
    free = free_bytes(directory)
    if free < needed:
        raise ResourceError(
            f"{directory} has {_gigabytes(free)} free, and its checkpoints need "
            f"{_gigabytes(needed)}",
            hint=_way_out(directory),
        )


def with_way_out(error: ResourceError, directory: Path, checkpoint_bytes: float) -> ResourceError:
    """The error of a save that failed, with how much it needs and what could go."""
    free = free_bytes(directory)
    return ResourceError(
        f"{error.message}; a checkpoint needs {_gigabytes(checkpoint_bytes)}, "
        f"{_gigabytes(free)} are free",
        safe="every earlier checkpoint",
        hint=f"{_way_out(directory)}, then tissu train --resume {directory.name}",
    )


def _way_out(directory: Path) -> str:
    """The run written to least recently, which a person could remove."""
    others = [run for run in run_directories() if run.resolve() != directory.resolve()]
    if not others:
        return "free space there"
    oldest = others[-1]
    size = sum(file.stat().st_size for file in oldest.rglob("*.safetensors"))
    return f"free space there, for example tissu runs rm {oldest.name} ({_gigabytes(size)})"


def _gigabytes(num_bytes: float) -> str:
    return f"{num_bytes / 1e9:.3g} GB"
