"""Models of the Hugging Face hub, fetched by its own library into its own cache."""

import errno
import os
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tissu_core.errors import (
    InputError,
    IntegrityError,
    NetworkError,
    ResourceError,
    TissuError,
)
from tissu_core.events.shared import StageAdvanced
from tissu_core.fetch.download import require_room
from tissu_core.fetch.hub_cache import hub_cache, is_revision, repo_folder
from tissu_core.fetch.model_files import model_files
from tissu_core.storage import sha256_file

if TYPE_CHECKING:
    from huggingface_hub import HfApi

_LOOK_SECONDS = 0.2
_OF_THE_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES)
_UNFINISHED = "*.*.incomplete"


@dataclass(frozen=True, slots=True, kw_only=True)
class RepoFiles:
    """What a model is read from in one commit of a repository."""

    repo: str
    commit: str
    license: str
    sizes: dict[str, int]
    sha256: dict[str, str]
    """Of the large files; the hub tells no others."""


def read_repo(repo: str, revision: str) -> RepoFiles:
    """Ask the hub what a repository holds.

    Raises:
        InputError: If the repository has no safetensors.
        NetworkError: If the hub cannot be reached, or has no such repository.
    """
    api = _api()
    try:
        info = api.model_info(repo, revision=revision or None, files_metadata=True)
    except Exception as error:
        raise _explain(repo, error) from error
    files = {file.rfilename: file for file in info.siblings or ()}
    names = model_files(files)
    if not any(name.endswith(".safetensors") for name in names):
        raise InputError(
            f"{repo} has no model*.safetensors", hint="name a repository that has them"
        )
    if not is_revision(str(info.sha)):
        raise NetworkError(f"the hub names no commit of {repo}", hint="check HF_ENDPOINT")
    card: Any = info.card_data or {}
    return RepoFiles(
        repo=repo,
        commit=str(info.sha),
        license=str(card.get("license") or ""),
        sizes={name: files[name].size or 0 for name in names},
        sha256={name: lfs.sha256 for name in names if (lfs := files[name].lfs) is not None},
    )


def iter_fetch(files: RepoFiles) -> Iterator[StageAdvanced]:
    """Bring the files into the hub's cache, where those that are there stay as they are.

    Raises:
        ResourceError: If the disk has no room; nothing is fetched then.
        NetworkError: If a file does not come whole.
        IntegrityError: If one has another SHA-256 than the hub tells.
    """
    folder, total = repo_folder(files.repo), sum(files.sizes.values())
    snapshot = folder / "snapshots" / files.commit
    missing = [name for name in files.sizes if not (snapshot / name).is_file()]
    require_room(hub_cache(), sum(files.sizes[name] for name in missing))
    done = total - sum(files.sizes[name] for name in missing)
    for name in missing:
        for size in _fetch(files, name, folder / "blobs"):
            yield StageAdvanced(stage="downloading", done=done + size, total=total, unit="bytes")
        done += files.sizes[name]
    for name, expected in files.sha256.items():
        yield StageAdvanced(stage="checking", done=0, total=files.sizes[name], unit="bytes")
        found = sha256_file(snapshot / name)
        if found != expected:
            raise IntegrityError(
                f"{snapshot / name} came with SHA-256 {found[:12]}, the hub says {expected[:12]}",
                safe="no model was made of it",
                hint=f"remove {folder}, and the same command again",
            )


def _fetch(files: RepoFiles, name: str, blobs: Path) -> Iterator[int]:
    """Bring one file; yields how much of it is there."""
    before = set(blobs.glob(_UNFINISHED))
    worker = _Fetching(files, name)
    worker.start()
    try:
        while worker.is_alive():
            worker.join(_LOOK_SECONDS)
            new = set(blobs.glob(_UNFINISHED)) - before
            yield min(sum(map(_size, new)), files.sizes[name])
    finally:
        if worker.is_alive():  # such a file has a name that no later try goes on with
            for file in set(blobs.glob(_UNFINISHED)) - before:
                with suppress(OSError):
                    file.unlink()
    if worker.error is not None:
        raise _explain(files.repo, worker.error) from worker.error
    yield files.sizes[name]


class _Fetching(threading.Thread):
    """One file on its way; a thread, so that its progress can be told and Ctrl-C is heard."""

    def __init__(self, files: RepoFiles, name: str) -> None:
        super().__init__(daemon=True)
        self._files, self._name = files, name
        self.error: Exception | None = None

    def run(self) -> None:
        """Fetch it."""
        try:
            _api().hf_hub_download(
                self._files.repo,
                self._name,
                revision=self._files.commit,
                cache_dir=hub_cache(),
            )
        except Exception as error:  # noqa: BLE001  raised again by who waits
            self.error = error


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except OSError:  # whole by now, and renamed
        return 0


def _api() -> "HfApi":
    from huggingface_hub import HfApi
    from huggingface_hub.utils.tqdm import disable_progress_bars

    disable_progress_bars()
    return HfApi(endpoint=os.environ.get("HF_ENDPOINT") or None)


def _explain(repo: str, error: Exception) -> TissuError:
    """The library's many errors as one that says whether the hub was there."""
    if isinstance(error, OSError) and error.errno in _OF_THE_DISK:
        return ResourceError(
            f"cannot write {hub_cache()}: {error.strerror}",
            hint="free or mend that disk, or name another with HF_HOME",
        )
    status = getattr(getattr(error, "response", None), "status_code", None)
    if status is None:
        return NetworkError(
            f"cannot reach the Hugging Face hub: {error}", hint="the same command with a network"
        )
    if status in (401, 403):
        return NetworkError(
            f"the hub has no {repo}, or asks who you are ({status})",
            hint="check the name, or put an access token into HF_TOKEN",
        )
    return NetworkError(
        f"the hub answers {status} for {repo}", hint="check the name, or try again later"
    )
