"""The Hugging Face cache of this machine, read as its files lie, without a library.

Each repository is a folder of blobs, named by what they hold, and of snapshots whose files are
links to them.
"""

import os
import re
from collections.abc import Iterator
from pathlib import Path

from tissu_core.fetch.model_files import is_whole

_PREFIX = "models--"
_REPO = re.compile(r"[A-Za-z0-9._-]{1,96}/[A-Za-z0-9._-]{1,96}")
_REVISION = re.compile(r"[A-Za-z0-9._-]{1,128}")
_BLOB = re.compile(r"(?P<sha256>[0-9a-f]{64})|(?P<git>[0-9a-f]{40})")


def hub_cache() -> Path:
    """``HF_HUB_CACHE``, or ``hub`` in ``HF_HOME``, or the usual place."""
    cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    home = os.environ.get("HF_HOME") or f"{cache}/huggingface"
    # Path.expanduser() raises for a user without a home.
    return Path(os.path.expanduser(os.environ.get("HF_HUB_CACHE") or f"{home}/hub"))  # noqa: PTH111


def is_repo(name: str) -> bool:
    """Whether ``name`` is ``org/name``, and no path."""
    return bool(_REPO.fullmatch(name)) and not {".", ".."} & set(name.split("/"))


def is_revision(name: str) -> bool:
    """Whether ``name`` can be a branch, tag or commit, and is no path."""
    return bool(_REVISION.fullmatch(name)) and name not in (".", "..")


def repo_folder(repo: str) -> Path:
    """Where the cache keeps a repository, there or not."""
    return hub_cache() / (_PREFIX + repo.replace("/", "--"))


def cached_snapshot(repo: str, revision: str = "main") -> Path | None:
    """The files of a repository at a branch, tag or commit, if the cache has them."""
    if not (is_repo(repo) and is_revision(revision)):
        return None
    folder = repo_folder(repo)
    reference = folder / "refs" / revision
    commit = reference.read_text("ascii", "replace").strip() if reference.is_file() else revision
    snapshot = folder / "snapshots" / commit
    return snapshot if is_revision(commit) and snapshot.is_dir() else None


def repo_of(snapshot: Path) -> str:
    """The repository that a folder of the cache is a snapshot of; empty for other folders."""
    folder = snapshot.parent.parent.name
    is_one = snapshot.parent.name == "snapshots" and folder.startswith(_PREFIX)
    return folder.removeprefix(_PREFIX).replace("--", "/", 1) if is_one else ""


def cached_repos() -> Iterator[tuple[str, Path]]:
    """Repositories that hold a whole model, and their files of the main branch, or the newest."""
    for folder in sorted(hub_cache().glob(f"{_PREFIX}*--*")):
        repo = folder.name.removeprefix(_PREFIX).replace("--", "/", 1)
        newest = sorted(folder.glob("snapshots/*"), key=_last_changed, reverse=True)
        found = filter(None, (cached_snapshot(repo), *newest))
        whole = (path for path in found if is_whole(path))
        if (snapshot := next(whole, None)) is not None:
            yield repo, snapshot


def blob_digest(file: Path) -> str:
    """What the cache says of a file's bytes, as ``sha256:...`` or ``git:...``; else nothing.

    Large files are kept by their SHA-256, small ones as git counts them.
    """
    matched = _BLOB.fullmatch(file.readlink().name) if file.is_symlink() else None
    if matched is None:
        return ""
    return f"sha256:{matched[0]}" if matched["sha256"] else f"git:{matched[0]}"


def _last_changed(path: Path) -> float:
    return path.stat().st_mtime
