"""The bytes of a file, unpacked while they are read if its name ends in .gz or .zst."""

import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

from tissu_core.errors import missing_package

PACKINGS = (".gz", ".zst")
_LARGEST_RATIO = 200  # a file that grows more than this is a bomb, not text


class NotTextError(Exception):
    """A file is not text; says why."""


class Bytes(Protocol):
    """What can be read piece by piece."""

    def read(self, size: int, /) -> bytes:
        """Up to ``size`` bytes; none at the end."""


@contextmanager
def open_plain(path: Path) -> Iterator[Bytes]:
    """Open a file, unpacked if it is packed.

    Raises:
        OSError: If it cannot be read.
        InputError: If a package is missing that unpacks it.
        NotTextError: From ``read``, if it is broken or unpacks without end.
    """
    packing = path.suffix.lower()
    with path.open("rb") as file:
        if packing not in PACKINGS:
            yield file
            return
        unpacked: Bytes
        if packing == ".gz":
            unpacked, broken = gzip.GzipFile(fileobj=file), zlib.error
        else:
            zstd = _import_zstd()
            unpacked, broken = zstd.ZstdFile(file), zstd.ZstdError
        yield _Bounded(unpacked, packing, broken, path.stat().st_size * _LARGEST_RATIO)


ZSTD_MODULES = ("compression.zstd", "backports.zstd")
"""Python's own from 3.14 on, and the same one for Pythons before."""


def _import_zstd() -> Any:
    """Python's own module, or the same one for Pythons before 3.14."""
    for name in ZSTD_MODULES:
        with suppress(ImportError):
            return import_module(name)
    raise missing_package("backports.zstd", "reading .zst files")


class _Bounded:
    """Reads a packed file up to a limit, and says broken ones in one word."""

    def __init__(self, file: Bytes, packing: str, broken: type[Exception], limit: int) -> None:
        self._file, self._packing, self._left = file, packing, limit
        self._errors = (broken, EOFError, gzip.BadGzipFile)

    def read(self, size: int, /) -> bytes:
        try:
            chunk = self._file.read(size)
        except self._errors as error:
            raise NotTextError(f"broken {self._packing}") from error
        self._left -= len(chunk)
        if self._left < 0:
            raise NotTextError(f"{self._packing} unpacks to over {_LARGEST_RATIO} times its size")
        return chunk
