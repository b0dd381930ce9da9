"""The verb verify: are a model's bytes those that were promised?"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tissu_core.errors import TissuError
from tissu_core.events.shared import StageAdvanced
from tissu_core.fetch.hub_cache import blob_digest
from tissu_core.runs.catalog import list_models, locate_model
from tissu_core.runs.models.other_programs import promised_digest
from tissu_core.runs.models.store import files_of, promised_hashes
from tissu_core.storage import sha256_file


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelChecked:
    """What became of one model's files."""

    name: str
    num_checked: int
    """Files with a known hash that were read."""
    problems: tuple[str, ...]


def check_models(given: str | None) -> Iterator[StageAdvanced | ModelChecked]:
    """Read a model's files, or those of all runs and of the store, and compare every known hash.

    Known are those of manifests, of the hub's cache and of Ollama's store.

    Raises:
        InputError: If there is no such model.
    """
    if given is not None:
        locate_model(given)
    for name in [model.name for model in list_models()] if given is None else [given]:
        try:
            yield from _check(name, _promised(locate_model(name)))
        except TissuError as error:
            yield ModelChecked(name=name, num_checked=0, problems=(error.message,))


def _promised(path: Path) -> dict[Path, str]:
    """Every file with a known hash, as ``sha256:...`` or ``git:...``."""
    hashes = {file: f"sha256:{digest}" for file, digest in promised_hashes(path).items()}
    if hashes:
        return hashes
    named = {file: blob_digest(file) or promised_digest(file) for file in files_of(path)}
    return {file: digest for file, digest in named.items() if digest}


def _check(name: str, promised: dict[Path, str]) -> Iterator[StageAdvanced | ModelChecked]:
    problems: list[str] = []
    total = sum(file.stat().st_size for file in promised if file.is_file())
    done = 0
    for file, expected in promised.items():
        yield StageAdvanced(stage=f"checking {name}", done=done, total=total, unit="bytes")
        if not file.is_file():
            problems.append(f"{file} is missing")
            continue
        kind = expected.partition(":")[0]
        found = f"{kind}:{sha256_file(file) if kind == 'sha256' else _git_hash(file)}"
        if found != expected:
            problems.append(f"{file} is {found}, promised was {expected}")
        done += file.stat().st_size
    yield ModelChecked(name=name, num_checked=len(promised), problems=tuple(problems))


def _git_hash(file: Path) -> str:
    """The SHA-1 that git names a file's contents by; the hub's cache does so for small files."""
    content = file.read_bytes()
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()
