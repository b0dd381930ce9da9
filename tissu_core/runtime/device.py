"""Which device computes, and how it is set up."""

import os
import time
from functools import cache

import torch

from tissu_core.errors import ResourceError


def resolve_device(name: str) -> torch.device:
    """The device for "auto", "cpu", "cuda" or "mps".

    Raises:
        ResourceError: If it was asked for by name and is not there.
    """
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    is_there = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    if not is_there[name]:
        raise ResourceError(f"this machine has no {name} device", hint="--device cpu")
    return torch.device(name)


def describe_device(device: torch.device) -> str:
    """A device's name for people."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return {"mps": "Apple GPU", "cpu": f"CPU, {torch.get_num_threads()} threads"}[device.type]


def default_threads() -> int:
    """Processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def use_deterministic_cpu(device: torch.device, threads: int) -> None:
    """Fix the thread count, and on a CPU the algorithms: the same run twice is equal to the bit."""
    torch.set_num_threads(threads)
    if device.type == "cpu":
        torch.use_deterministic_algorithms(True)
        # Filling fresh memory with NaN finds bugs and costs 5 % of a step.
        setattr(torch.utils.deterministic, "fill_uninitialized_memory", False)  # noqa: B010  untyped


def measure_flops(device: torch.device, dtype: torch.dtype) -> float:
    """Floating-point operations a second of a matrix product of training size, in about 0.2 s.

    Measured once; later it is what it was.
    """
    return _measured_flops(device, dtype, torch.get_num_threads())


@cache
def _measured_flops(device: torch.device, dtype: torch.dtype, threads: int) -> float:
    rows, width, columns = (2048, 512, 1024) if device.type == "cpu" else (8192, 4096, 4096)
    left = torch.ones(rows, width, dtype=dtype, device=device)
    right = torch.ones(columns, width, dtype=dtype, device=device)
    best = float("inf")
    for _ in range(6):
        synchronize(device)
        started = time.perf_counter()
        torch.nn.functional.linear(left, right)
        synchronize(device)
        best = min(best, time.perf_counter() - started)
    return 2.0 * rows * width * columns / best


def synchronize(device: torch.device) -> None:
    """Wait until the device has done what it was told."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()
