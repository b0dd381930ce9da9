"""torch.compile: whether the machine has what it needs, and where it is not wanted."""

import shutil
import sys
from contextlib import AbstractContextManager

from tissu_core.errors import ResourceError

_COMPILERS = ("c++", "g++", "clang++", "cl")
_INSTALL = {"darwin": "xcode-select --install", "win32": "winget install LLVM.LLVM"}


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


def uncompiled() -> AbstractContextManager[object]:
    """Compiled modules run as they are written: new shapes would each be compiled again."""
    import torch  # noqa: PLC0415  the rest is for a look at the machine before torch is there

    stance: AbstractContextManager[object] = torch.compiler.set_stance("force_eager")
    return stance
