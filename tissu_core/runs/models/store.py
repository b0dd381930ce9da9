"""A model in the store: its files, or where they lie, and where they came from.

``tissu.json`` of a pulled or imported model has, beside the seal, a ``source`` and for one that is
used in place the ``place`` and the hashes its files had (``linked``); such a model costs no disk.
"""

from collections.abc import Generator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tissu_core import __version__
from tissu_core.errors import ConfigError, InputError, IntegrityError, TissuError
from tissu_core.events.shared import StageAdvanced
from tissu_core.fetch.hub_cache import repo_of
from tissu_core.fetch.model_files import model_in
from tissu_core.runs.home import models_directory
from tissu_core.runs.run_directory import check_name
from tissu_core.storage import MANIFEST, is_sealed, read_manifest, sealed_directory, sha256_file


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where a model came from."""

    kind: str
    """``hub``, ``pypi`` or ``file``."""
    asked: str
    """What was typed for it."""
    revision: str = ""
    license: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelStored:
    """A model has its name in the store."""

    name: str
    path: str
    source: str
    revision: str
    license: str
    num_bytes: int
    is_new: bool


def stored_models() -> list[Path]:
    """Models in the store by name, but those that are still being written."""
    found = sorted(models_directory().glob("[!.]*"))
    return [path for path in found if is_sealed(path) or model_in(path) is not None]


def source_of(directory: Path) -> Source | None:
    """Where a stored model came from; nothing for what tissu made itself.

    Raises:
        IntegrityError: If its manifest is damaged.
    """
    facts = read_manifest(directory).get("source") if is_sealed(directory) else None
    if facts is None:
        return None
    try:
        return Source(**facts)
    except TypeError as error:
        raise IntegrityError(
            f"{directory / MANIFEST} names a source that is none", hint="use another model"
        ) from error


def follow(path: Path) -> Path:
    """What to read for a model: where a link in the store points, or the model in a folder.

    Raises:
        InputError: If what it points to is gone.
        IntegrityError: If its manifest is damaged.
    """
    place = _place(path)
    if place is not None and not place.exists():
        raise InputError(
            f"the model {path.name!r} is used in place, and {place} is gone",
            hint=f"tissu models rm {path.name}, then pull or import it again",
        )
    return place or model_in(path) or path


def files_of(path: Path) -> list[Path]:
    """The files of a model where they lie."""
    if path.is_file():
        return [path]
    return list(_linked(path)) or sorted(file for file in path.iterdir() if file.is_file())


def promised_hashes(path: Path) -> dict[Path, str]:
    """What a manifest says of every file's SHA-256; nothing where there is none.

    Raises:
        IntegrityError: If the manifest is damaged.
    """
    directory = path.parent if path.is_file() else path
    if not is_sealed(directory):
        return {}
    files = read_manifest(directory)["files"]
    promised = {directory / name: facts["sha256"] for name, facts in files.items()}
    promised |= _linked(directory)
    return {path: promised[path]} if path in promised else promised


def name_of(path: Path) -> str:
    """What a model is called: its name in the store, its repository's, or that of its place."""
    for directory in stored_models():
        with suppress(TissuError):  # a damaged one is not it
            if follow(directory) == path:
                return directory.stem if directory.is_file() else directory.name
    repo = repo_of(path)
    return repo.rpartition("/")[2] or (path.stem if path.is_file() else path.resolve().name)


def new_name(name: str, asked: tuple[str, ...]) -> Path | None:
    """Where a model of that name goes; nothing if it is there already, from the same source.

    Raises:
        ConfigError: If the name is none, or is taken by another model.
    """
    check_name(name, "--out")
    target = models_directory() / name
    if not target.exists():
        return target
    source = source_of(target)
    if source is None or source.asked not in asked:
        raise ConfigError(
            f"there is another model {name!r} in the store",
            field="out",
            hint=f"-o {name}-2, or first: tissu models rm {name}",
        )
    try:
        follow(target)
    except TissuError:
        return target  # its files are gone: it is stored anew
    return None


def link(target: Path, source: Source, place: Path, hashes: Mapping[str, Any]) -> None:
    """Give a model a name in the store, its files staying where they are.

    ``hashes`` is what ``iter_hashes`` gives of them.
    """
    with sealed_directory(target, facts(source) | {"place": str(place), "linked": hashes}):
        pass


def facts(source: Source) -> dict[str, Any]:
    """What a manifest says of a model from elsewhere."""
    return {"tissu": __version__, "kind": "model", "source": asdict(source)}


def stored(directory: Path, *, is_new: bool) -> ModelStored:
    """The event for a model of the store."""
    source = source_of(directory) or Source(kind="store", asked="")
    return ModelStored(
        name=directory.name,
        path=str(follow(directory)),
        source=source.asked,
        revision=source.revision,
        license=source.license,
        num_bytes=sum(file.stat().st_size for file in files_of(directory)),
        is_new=is_new,
    )


def iter_hashes(
    files: Mapping[str, Path], known: Mapping[str, str] | None = None
) -> Generator[StageAdvanced, None, dict[str, Any]]:
    """Read every file; returns its SHA-256 and size by name. ``known`` ones are not read again."""
    found: dict[str, Any] = {}
    known, done = known or {}, 0
    total = sum(file.stat().st_size for file in files.values())
    for name, file in files.items():
        yield StageAdvanced(stage="checking", done=done, total=total, unit="bytes")
        size = file.stat().st_size
        found[name] = {"sha256": known.get(name) or sha256_file(file), "num_bytes": size}
        done += size
    return found


def _place(path: Path) -> Path | None:
    """Where a link of the store points; links lie nowhere else."""
    if path.resolve().parent != models_directory().resolve() or not is_sealed(path):
        return None
    place = read_manifest(path).get("place")
    return Path(place) if isinstance(place, str) else None


def _linked(path: Path) -> dict[Path, str]:
    """The files that a link of the store points to, and the SHA-256 they had."""
    place = _place(path)
    if place is None:
        return {}
    linked = read_manifest(path)["linked"]
    folder = place.parent if place.name in linked else place
    return {folder / name: facts["sha256"] for name, facts in linked.items()}
