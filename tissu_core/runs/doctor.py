"""The verb doctor: is this machine ready, and what would mend it."""

import os
import platform
import shutil
import sqlite3
import sys
import tempfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from tissu_core import __version__
from tissu_core.data.packed import ZSTD_MODULES
from tissu_core.events.measures import CheckFinished
from tissu_core.runs.home import cache_directory, home

GIGABYTE = 10**9
_LITTLE_DISK, _TOO_LITTLE_DISK = 5 * GIGABYTE, GIGABYTE // 2
_LITTLE_MEMORY, _TOO_LITTLE_MEMORY = 2 * GIGABYTE, GIGABYTE // 2
_OPTIONAL = {
    "pyarrow": ("reads .parquet", ("pyarrow",)),
    "backports.zstd": ("reads .zst", ZSTD_MODULES),
}
"""Packages, what they are for, and the modules of which one must be there."""


def examine() -> Iterator[CheckFinished]:
    """Look at everything that training and using a model rest on."""
    yield _ok("python", f"{platform.python_version()} on {platform.platform()}, {sys.executable}")
    yield _ok("tissu", __version__)
    yield _ok("sqlite", sqlite3.sqlite_version)
    yield from _packages()
    yield _compiler()
    yield _disk("home", home(), "TISSU_HOME=/another/folder tissu doctor")
    yield _disk("cache", cache_directory(), "TISSU_HOME=/another/folder tissu doctor")
    try:
        import torch
    except (ImportError, OSError) as error:
        yield _problem(
            "torch", f"cannot be imported: {error}", "pip install --force-reinstall torch"
        )
        return
    build = f"CUDA {torch.version.cuda}" if torch.version.cuda else "no CUDA"
    yield _ok("torch", f"{torch.__version__}, {build}")
    yield from _processor()
    yield _gpu()
    yield _memory()
    yield from _speed()


def _ok(name: str, value: str) -> CheckFinished:
    return CheckFinished(name=name, status="ok", value=value)


def _note(name: str, value: str, hint: str) -> CheckFinished:
    return CheckFinished(name=name, status="note", value=value, hint=hint)


def _problem(name: str, value: str, hint: str) -> CheckFinished:
    return CheckFinished(name=name, status="problem", value=value, hint=hint)


def _packages() -> Iterator[CheckFinished]:
    for name, (use, modules) in _OPTIONAL.items():
        if any(map(_is_there, modules)):
            yield _ok(name, f"there, {use}")
        else:
            yield _note(name, f"not there, {use}", f"pip install {name}")


def _is_there(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # its parent is not there
        return False


def _compiler() -> CheckFinished:
    from tissu_core.runtime.compiler import find_compiler, install_command

    found = find_compiler()
    if found:
        return _ok("compiler", found)
    value = "no C++ compiler; with one long runs are compiled, and replies come faster"
    return _note("compiler", value, install_command())


def _disk(name: str, directory: Path, elsewhere: str) -> CheckFinished:
    """Room and a trial write, where the directory is or will be."""
    there = next(path for path in (directory, *directory.parents) if path.exists())
    try:
        with tempfile.TemporaryFile(dir=there) as file:
            file.write(b"tissu")
        free = shutil.disk_usage(there).free
    except OSError as error:
        return _problem(name, f"{directory} cannot be written: {error.strerror}", elsewhere)
    value = f"{directory}, {free / GIGABYTE:.1f} GB free"
    if free >= _LITTLE_DISK:
        return _ok(name, value)
    return (_note if free >= _TOO_LITTLE_DISK else _problem)(name, value, elsewhere)


def _processor() -> Iterator[CheckFinished]:
    import torch

    from tissu_core.runtime.device import default_threads
    from tissu_core.runtime.processor import instruction_sets, processor_name

    cores, usable = os.cpu_count() or 1, default_threads()
    yield _ok("processor", f"{processor_name()}, {usable} of {cores} cores usable")
    found = ", ".join(instruction_sets()) or "none that torch knows"
    yield _ok("instructions", f"{found}; torch uses {torch.backends.cpu.get_cpu_capability()}")
    limit = os.environ.get("OMP_NUM_THREADS", "")
    if limit.isdigit() and int(limit) < usable:
        value = f"OMP_NUM_THREADS={limit} where {usable} could compute"
        yield _note("threads", value, "unset OMP_NUM_THREADS")
    else:
        yield _ok("threads", f"{usable}")


def _gpu() -> CheckFinished:
    import torch

    from tissu_core.runtime.device import describe_device, resolve_device

    device = resolve_device("auto")
    if device.type != "cpu":
        free = f", {torch.cuda.mem_get_info()[0] / GIGABYTE:.1f} GB free"
        return _ok("gpu", describe_device(device) + (free if device.type == "cuda" else ""))
    if shutil.which("nvidia-smi"):
        value = "an NVIDIA driver is there, and torch finds no GPU"
        return _note("gpu", value, "nvidia-smi && pip install --force-reinstall torch")
    return _ok("gpu", "none; the processor computes")


def _memory() -> CheckFinished:
    from tissu_core.runtime.memory import available_bytes, total_bytes

    free, total = available_bytes(), total_bytes()
    known = (f"{free / GIGABYTE:.1f} GB free" if free else "", f"{total / GIGABYTE:.1f} GB in all")
    value = ", ".join(filter(None, known if total else known[:1])) or "the system does not say"
    if not free or free >= _LITTLE_MEMORY:
        return _ok("memory", value)
    hint = "end other programs, or: tissu train --preset nano"
    return (_note if free >= _TOO_LITTLE_MEMORY else _problem)("memory", value, hint)


def _speed() -> Iterator[CheckFinished]:
    """The clock of a matrix product: what the plan of a run is reckoned with."""
    from tissu_core.runtime.device import measure_flops, resolve_device
    from tissu_core.runtime.precision import DTYPES, resolve_precision

    device = resolve_device("auto")
    chosen = resolve_precision("auto", device)
    for precision in ("fp32", "bf16"):
        speed = measure_flops(device, DTYPES[precision]) / 1e9
        use = "; --precision auto takes it" if precision == chosen else ""
        yield _ok(precision, f"{speed:,.0f} GFLOP/s in a matrix product on {device.type}{use}")
