"""Models that other programs keep on this machine: used where they lie, by names of their own.

``hub:org/name[@revision]`` is the Hugging Face cache, ``ollama:name:tag`` Ollama's store,
``lmstudio:publisher/repository/file`` LM Studio's folder.
"""

import json
import os
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from tissu_core.errors import InputError, nearest
from tissu_core.fetch.hub_cache import cached_repos, cached_snapshot
from tissu_core.fetch.model_files import is_whole, model_in
from tissu_core.runs.home import user_home

_OLLAMA_HOST = "registry.ollama.ai/library"
_OLLAMA_SERVICE = Path("/usr/share/ollama/.ollama/models")
"""Of the user that Ollama's installer makes on Linux."""
_MODEL_LAYER = "application/vnd.ollama.image.model"
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_LARGEST_MANIFEST_BYTES = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundModel:
    """A model of another program."""

    name: str
    """What MODEL may be, as it is."""
    path: str
    program: str
    num_bytes: int


def scan() -> Iterator[FoundModel]:
    """Every model in the folders of other programs."""
    for program, models in (
        ("Hugging Face cache", _of_hub()),
        ("Ollama", _of_ollama()),
        ("LM Studio", _of_lm_studio()),
    ):
        with suppress(OSError):  # a store of another user, who lets nobody in
            for name, path in models:
                files = [path] if path.is_file() else [f for f in path.iterdir() if f.is_file()]
                size = sum(file.stat().st_size for file in files)
                yield FoundModel(name=name, path=str(path), program=program, num_bytes=size)


def find_elsewhere(given: str) -> Path | None:
    """The file or folder behind a name of another program; nothing for other names.

    Raises:
        InputError: If that program keeps no such model; names the nearest.
    """
    program, _, name = given.partition(":")
    if program not in ("hub", "ollama", "lmstudio") or not name:
        return None
    repo, at, revision = name.partition("@")
    if program == "hub" and at:
        snapshot = cached_snapshot(repo, revision)
        if snapshot is not None and is_whole(snapshot):
            return model_in(snapshot)
    names = {found.name: Path(found.path) for found in scan()}
    path = names.get(given) or names.get(f"{given}:latest")
    if path is None:
        close = nearest(given, names)
        raise InputError(
            f"there is no model {given!r} on this machine",
            hint=f"did you mean {' or '.join(close)}?" if close else "tissu models scan",
        )
    return path


def promised_digest(file: Path) -> str:
    """The SHA-256 that Ollama names a file by, as ``sha256:...``; empty for other files."""
    name = file.name.replace("-", ":", 1)
    return name if file.parent.name == "blobs" and _DIGEST.fullmatch(name) else ""


def _of_hub() -> Iterator[tuple[str, Path]]:
    for repo, snapshot in cached_repos():
        path = model_in(snapshot)
        if path is not None:
            yield f"hub:{repo}", path


def _of_ollama() -> Iterator[tuple[str, Path]]:
    given = os.environ.get("OLLAMA_MODELS")
    for root in [Path(given)] if given else [user_home() / ".ollama/models", _OLLAMA_SERVICE]:
        yield from _of_ollama_store(root)


def _of_ollama_store(root: Path) -> Iterator[tuple[str, Path]]:
    manifests = root / "manifests"
    for manifest in sorted(file for file in manifests.rglob("*") if file.is_file()):
        digest = _model_layer(manifest)
        blob = root / "blobs" / digest.replace(":", "-")
        if digest and blob.is_file():
            *folders, tag = manifest.relative_to(manifests).parts
            name = "/".join(folders).removeprefix(f"{_OLLAMA_HOST}/")
            name = name.removeprefix(f"{PurePosixPath(_OLLAMA_HOST).parent}/")
            yield f"ollama:{name}:{tag}", blob


def _model_layer(manifest: Path) -> str:
    """The digest of a manifest's weights; a digest that is no plain hash is a path in disguise."""
    try:
        if manifest.stat().st_size > _LARGEST_MANIFEST_BYTES:
            return ""
        for layer in json.loads(manifest.read_text("utf-8"))["layers"]:
            digest = str(layer["digest"])
            if layer["mediaType"] == _MODEL_LAYER and _DIGEST.fullmatch(digest):
                return digest
    except (OSError, ValueError, KeyError, TypeError):
        pass
    return ""


def _of_lm_studio() -> Iterator[tuple[str, Path]]:
    for folder in (".lmstudio/models", ".cache/lm-studio/models"):
        root = user_home() / folder
        for file in sorted(root.glob("*/*/*.gguf")):
            if file.is_file() and not file.name.startswith("mmproj"):  # eyes of another model
                name = file.relative_to(root).with_suffix("").as_posix()
                yield f"lmstudio:{name}", file
