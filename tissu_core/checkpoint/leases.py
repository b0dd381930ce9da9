"""Checkpoints that are in use: a run does not prune them. Needs no torch.

A lease is a file beside the checkpoint, locked by the process that reads it. However that process
ends, its lock goes with it; the run then removes the file and, at a later save, the checkpoint.
"""

import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

_STEP = re.compile(r"step-\d+")
_PREFIX, _SUFFIX = "lease-", ".lock"


@contextmanager
def lease(model: Path) -> Iterator[None]:
    """Keep a run's checkpoint from being pruned; any other model needs nothing.

    Where the directory cannot be written there is no lease, and no run that could prune.
    """
    lock = _take(model) if _STEP.fullmatch(model.name) and model.is_dir() else None
    try:
        yield
    finally:
        if lock is not None:
            lock.release()
            with suppress(OSError):
                Path(lock.lock_file).unlink(missing_ok=True)


def _take(checkpoint: Path) -> FileLock | None:
    while True:
        name = f"{_PREFIX}{checkpoint.name}-{secrets.token_hex(4)}{_SUFFIX}"
        path = checkpoint.with_name(name)
        lock = FileLock(path, thread_local=False)
        try:
            lock.acquire()
        except (OSError, NotImplementedError):  # read-only, or a file system without locks
            return None
        if path.exists():  # the run did not take it for a stale one before it was locked
            return lock
        lock.release()


def leased(directory: Path) -> set[str]:
    """Names of the checkpoints in use; lease files that nobody holds are removed."""
    found = set()
    for path in directory.glob(f"{_PREFIX}*{_SUFFIX}"):
        try:
            with FileLock(path, timeout=0), suppress(OSError):  # Windows removes it itself
                path.unlink(missing_ok=True)
        except (Timeout, OSError, NotImplementedError):  # held, or held by who knows whom
            found.add(path.name.removeprefix(_PREFIX).rpartition("-")[0])
    return found
