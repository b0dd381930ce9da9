"""How much memory is used and free."""

import os
import sys
from contextlib import suppress
from pathlib import Path

import torch


def used_bytes(device: torch.device) -> int:
    """Memory this program holds on its device; 0 where the platform does not say."""
    if device.type == "cuda":
        return torch.cuda.memory_reserved(device)
    if device.type == "mps":
        return torch.mps.driver_allocated_memory()
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, AttributeError):
        return _peak_bytes()


def reset_peak(device: torch.device) -> None:
    """Let ``peak_bytes`` count from here on, where the platform can forget."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    else:
        with suppress(OSError):
            Path("/proc/self/clear_refs").write_text("5")  # man 5 proc_pid_clear_refs


def peak_bytes(device: torch.device) -> int:
    """The most that this program has held on its device; what it holds where nobody counts."""
    if device.type == "cuda":
        return torch.cuda.max_memory_reserved(device)
    if device.type == "mps":
        return used_bytes(device)
    return _peak_bytes() or used_bytes(device)


def _peak_bytes() -> int:
    if sys.platform == "win32":
        return 0
    import resource  # noqa: PLC0415  POSIX only

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def free_bytes(device: torch.device) -> int:
    """Memory that could still be taken on the device.

    All of the machine's where the platform does not say what is free, and 8 GB where it says
    neither.
    """
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    return available_bytes() or total_bytes() or 8 << 30


def available_bytes() -> int:
    """Main memory that could still be taken; 0 where the platform does not say."""
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return 0


def is_out_of_memory(error: RuntimeError) -> bool:
    """Whether torch could not get memory, on whatever device."""
    words = ("out of memory", "not enough memory", "DefaultCPUAllocator", "ALLOC_FAILED")
    return isinstance(error, torch.OutOfMemoryError) or any(word in str(error) for word in words)


def release_cached(device: torch.device) -> None:
    """Give memory that torch keeps for later back to the device."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
    elif device.type == "mps":
        torch.mps.empty_cache()


def utilization(device: torch.device) -> float | None:
    """Share of the time a GPU was busy, in [0, 1]; None where nobody says."""
    if device.type != "cuda":
        return None
    try:
        return torch.cuda.utilization(device) / 100
    except Exception:  # noqa: BLE001  needs nvidia-ml-py, which has errors of its own
        return None


def total_bytes() -> int:
    """The machine's memory; 0 where the platform does not say."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (OSError, ValueError, AttributeError):  # Windows has no sysconf
        return 0
