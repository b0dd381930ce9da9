"""Which processor computes, and what it can do at once."""

import platform
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import torch

_PROBES = {
    "AVX2": "_is_avx2_supported",
    "AVX-512": "_is_avx512_supported",
    "VNNI": "_is_vnni_supported",
    "BF16": "_is_avx512_bf16_supported",
    "AMX": "_is_amx_tile_supported",
}


def processor_name() -> str:
    """The processor's name for people."""
    with suppress(OSError, subprocess.SubprocessError):
        if sys.platform == "darwin":
            command = ["sysctl", "-n", "machdep.cpu.brand_string"]
            return subprocess.check_output(command, text=True, timeout=5).strip()
        for line in Path("/proc/cpuinfo").read_text("utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def instruction_sets() -> tuple[str, ...]:
    """The vector and matrix instructions that torch knows and finds here."""
    return tuple(name for name, probe in _PROBES.items() if getattr(torch.cpu, probe, bool)())


def processor_flags() -> str:
    """All that the processor says it can do, as the system spells it; "" where it does not."""
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text("utf-8").splitlines():
            if line.startswith(("flags", "Features")):
                return line.partition(":")[2].strip()
    return " ".join(instruction_sets())
