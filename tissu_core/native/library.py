"""The C sources as a library for this processor, by the C compiler that is on the machine."""

import ctypes
import hashlib
import os
import platform
import shlex
import shutil
import subprocess
from pathlib import Path

import torch

from tissu_core.runtime.processor import processor_flags, processor_name

SOURCES = (
    "lanes.h",
    "products.h",
    "unpack.h",
    "attention.h",
    "rounded.h",
    "reading.h",
    "rows.h",
    "layers.h",
    "worker.h",
    "step.c",
)
_FLAGS = (
    "-O3",
    "-march=native",
    "-fopenmp",
    "-shared",
    "-fPIC",
    # What lets sums be computed in vectors; NaN and infinities stay what they are.
    "-fno-math-errno",
    "-fno-trapping-math",
    "-fno-signed-zeros",
    "-fassociative-math",
    "-ffp-contract=fast",
)
_MOST_SECONDS = 120


def find_library(directory: Path) -> ctypes.CDLL | None:
    """The library that was compiled before, or None."""
    path = _path_in(directory)
    return _load(path) if path is not None and path.is_file() else None


def compile_library(directory: Path) -> ctypes.CDLL | None:
    """Compile, which takes about 3 s, and load; None where there is no compiler or it fails."""
    path, compiler = _path_in(directory), find_compiler()
    if path is None or compiler is None:
        return None
    source, made = Path(__file__).parent / SOURCES[-1], path.with_suffix(f".{os.getpid()}")
    command = shlex.join([compiler, *_FLAGS, str(source), "-o", str(made), "-lm"])
    # The shell names it, so that a program that ends meanwhile has not compiled for nothing.
    line = f"{command} && mv -f {shlex.quote(str(made))} {shlex.quote(str(path))}"
    try:
        directory.mkdir(parents=True, exist_ok=True)
        subprocess.run(["sh", "-c", line], check=True, capture_output=True, timeout=_MOST_SECONDS)
    except (OSError, subprocess.SubprocessError):
        return None
    return _load(path)


def find_compiler() -> str | None:
    """The C compiler that ``CC`` names, or the usual one; on Windows none, whose flags differ."""
    if os.name == "nt":
        return None
    named = os.environ.get("CC", "").split()
    return shutil.which(named[0]) if named else shutil.which("cc") or shutil.which("gcc")


def _path_in(directory: Path) -> Path | None:
    """Where the library of these sources, this processor and this torch lies."""
    try:
        sources = [(Path(__file__).parent / name).read_bytes() for name in SOURCES]
    except OSError:
        return None
    facts = (*_FLAGS, processor_name(), processor_flags(), platform.machine(), torch.__version__)
    key = hashlib.sha256(b"\0".join([*sources, *(fact.encode() for fact in facts)]))
    return directory / f"step-{key.hexdigest()[:16]}.so"


def _load(path: Path) -> ctypes.CDLL | None:
    try:
        return ctypes.CDLL(str(path))
    except OSError:
        return None
