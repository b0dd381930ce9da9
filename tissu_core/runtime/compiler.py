"""torch.compile: whether the machine has what it needs, and where it is not wanted."""

import os
import shutil
import sys
from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path

from tissu_core.errors import ResourceError

GAIN, SECONDS = 0.2, 60.0
"""What compiling is expected to take off a step, and to cost. In bf16 on 2 busy cores, 4 layers x
256 and 6 x 384: 0.14 to 0.25 of a step; 43 to 51 s, and 6 to 13 with its code in the cache."""
_COMPILERS = ("c++", "g++", "clang++", "cl")
_INSTALL = {"darwin": "xcode-select --install", "win32": "winget install LLVM.LLVM"}
_CACHE_VARIABLE = "TORCHINDUCTOR_CACHE_DIR"


def find_compiler() -> str | None:
    """The path of a C++ compiler, which torch.compile needs on a CPU."""
    return next(filter(None, map(shutil.which, _COMPILERS)), None)


def install_command() -> str:
    """What installs one on this platform."""
    return _INSTALL.get(sys.platform, "sudo apt install g++")


def require_compiler() -> None:
    """Refuse to compile without one.

    Raises:
        ResourceError: With the command that installs one.
    """
    if find_compiler() is None:
        raise ResourceError(
            "--compile needs a C++ compiler, and there is none", hint=install_command()
        )


def why_not_compiled(device: str, seconds: float) -> str:
    """Why a run of so many seconds is not even tried compiled; "" if it is worth a try."""
    if device not in ("cpu", "cuda"):
        return f"not compiled: torch does that on {device} only by way of trial"
    if seconds * GAIN < SECONDS:
        return f"not compiled: that pays back in runs of {SECONDS / GAIN / 60:.0f} minutes and more"
    if find_compiler() is None:
        return f"not compiled, without a C++ compiler: {install_command()}"
    if device == "cuda" and not _has_triton():
        return "not compiled, without the package triton: pip install triton"
    return ""


def _has_triton() -> bool:
    from torch.utils._triton import has_triton  # noqa: PLC0415  torch comes later

    return has_triton()


def keep_compiled_code(directory: Path) -> None:
    """Have compiled code kept there from run to run, unless the person named a place."""
    os.environ.setdefault(_CACHE_VARIABLE, str(directory))


def num_graphs() -> int:
    """Pieces of code compiled so far in this process."""
    return _counters()["stats"]["unique_graphs"]


def num_graph_breaks() -> int:
    """Places so far where compiled code had to give way to Python."""
    return sum(_counters()["graph_break"].values())


def _counters() -> Mapping[str, Mapping[str, int]]:
    import torch._dynamo.utils  # noqa: PLC0415  a second, once something is compiled

    return torch._dynamo.utils.counters


def uncompiled() -> AbstractContextManager[object]:
    """Compiled modules run as they are written: new shapes would each be compiled again."""
    import torch  # noqa: PLC0415  the rest is for a look at the machine before torch is there

    stance: AbstractContextManager[object] = torch.compiler.set_stance("force_eager")
    return stance
