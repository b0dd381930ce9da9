"""A file from the network: in quarantine until every byte is what was promised."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPException
from pathlib import Path

from filelock import FileLock, Timeout

from tissu_core.errors import BusyError, IntegrityError, NetworkError, ResourceError
from tissu_core.events.shared import StageAdvanced
from tissu_core.fetch.web import Web
from tissu_core.storage import free_bytes, guard_write, sha256_file

_CHUNK_BYTES = 1 << 20
_TRIES = 3
"""In a row that bring nothing new; a slow line that goes on is waited for."""
_PAUSE_SECONDS = 1.0
_SPARE = 1.1


def iter_download(
    web: Web, url: str, *, sha256: str, num_bytes: int, part: Path
) -> Iterator[StageAdvanced]:
    """Fetch ``url`` into ``part``, on from where an earlier try stopped.

    ``num_bytes`` is 0 where the index names no size. A file with another hash stays beside
    ``part`` as ``.damaged`` and is never used.

    Raises:
        ResourceError: If the disk has no room; nothing is fetched then.
        NetworkError: If the file does not come whole.
        IntegrityError: If it has another SHA-256.
        BusyError: If another process fetches it.
    """
    with _only_one(part):
        total = num_bytes or _length(web, url)
        require_room(part.parent, total - _size(part))
        yield from _fetch(web, url, total, part)
        yield StageAdvanced(stage="checking", done=0, total=total, unit="bytes")
        found = sha256_file(part)
        if found != sha256:
            damaged = part.with_suffix(".damaged")
            part.replace(damaged)
            raise IntegrityError(
                f"{url} came with SHA-256 {found[:12]}, the index says {sha256[:12]}",
                safe=f"no model was made of it; what came is kept apart as {damaged}",
                hint="the same command again, or another index",
            )


def require_room(directory: Path, num_bytes: float) -> None:
    """Refuse what the disk could not hold.

    Raises:
        ResourceError: If there is less room, with a tenth to spare.
    """
    free, needed = free_bytes(directory), num_bytes * _SPARE
    if free < needed:
        raise ResourceError(
            f"{directory} has {free / 1e9:.3g} GB free, and the download needs "
            f"{needed / 1e9:.3g} GB",
            hint="free space there, or name another disk with TISSU_HOME",
        )


def _fetch(web: Web, url: str, total: int, part: Path) -> Iterator[StageAdvanced]:
    failures, furthest = 0, _size(part)
    while _size(part) < total:
        reason = "it ended early"
        try:
            yield from _append(web, url, total, part)
        except (OSError, HTTPException) as error:
            reason = str(error) or type(error).__name__
        except NetworkError as error:
            raise NetworkError(error.message, safe=_kept(part), hint=error.hint) from error
        if _size(part) > furthest:
            failures, furthest = 0, _size(part)
            continue
        failures += 1
        if failures == _TRIES:
            raise NetworkError(
                f"{url} stopped at {_size(part):,} of {total:,} bytes: {reason}",
                safe=_kept(part),
                hint="the same command goes on from there",
            )
        time.sleep(_PAUSE_SECONDS)


def _append(web: Web, url: str, total: int, part: Path) -> Iterator[StageAdvanced]:
    have = _size(part)
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
    with web.open(url, headers) as answer:
        if not answer.headers.get("Content-Range", "").startswith(f"bytes {have}-"):
            have = 0  # it sends all of it again
        with part.open("ab" if have else "wb") as file:
            # What has come, not a whole chunk: a slow line is seen to go on, and loses nothing.
            while chunk := answer.read1(min(_CHUNK_BYTES, total - have)):
                with guard_write(part):
                    file.write(chunk)
                have += len(chunk)
                yield StageAdvanced(stage="downloading", done=have, total=total, unit="bytes")


def _length(web: Web, url: str) -> int:
    with web.open(url, {"Accept-Encoding": "identity"}, method="HEAD") as answer:
        length = answer.headers.get("Content-Length", "")
    if not length.isdecimal():
        raise NetworkError(f"{url} names no length", hint="name another index")
    return int(length)


def _size(part: Path) -> int:
    return part.stat().st_size if part.is_file() else 0


def _kept(part: Path) -> str:
    size = _size(part)
    return f"the first {size:,} bytes wait in {part}" if size else "nothing was changed"


@contextmanager
def _only_one(part: Path) -> Iterator[None]:
    with guard_write(part):
        part.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(part.with_suffix(".lock"), timeout=0)
    try:
        lock.acquire()
    except Timeout as error:
        raise BusyError(
            "another process is downloading the same file",
            safe="that download goes on unharmed",
            hint="wait for it",
        ) from error
    try:
        yield
    finally:
        lock.release()
