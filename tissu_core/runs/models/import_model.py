"""The verb import: a model of this machine under a name in the store."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

from tissu_core.errors import InputError
from tissu_core.events.shared import StageAdvanced
from tissu_core.fetch.model_files import is_whole, model_files, model_in
from tissu_core.runs.home import models_directory
from tissu_core.runs.models.store import (
    ModelStored,
    Source,
    facts,
    iter_hashes,
    link,
    new_name,
    stored,
)
from tissu_core.storage import MANIFEST, is_sealed, sealed_directory, verify


def import_model(
    given: str | Path, out: str = "", *, is_copied: bool = False
) -> Iterator[StageAdvanced | ModelStored]:
    """Give a directory, a GGUF or an NPZ file a name; the last event says it.

    Without ``is_copied`` the files stay where they are and are used there.

    Raises:
        InputError: If it is no model.
        IntegrityError: If it is sealed and damaged.
        ConfigError: If the name is taken.
        ResourceError: If the disk has no room.
    """
    path = Path(given).expanduser().absolute()  # a link's own name says what it is
    place = _checked(path)
    stem = path.stem if path.is_file() else path.name
    name = out or re.sub(r"[^A-Za-z0-9._-]+", "-", stem).strip("-.")
    source = Source(kind="file", asked=str(path))
    target = new_name(name, (source.asked,))
    if target is None:
        yield stored(models_directory() / name, is_new=False)
        return
    files = _files(place)
    hashes = yield from iter_hashes(files)
    if is_copied:
        with sealed_directory(target, facts(source)) as temporary:
            for file_name, file in files.items():
                shutil.copyfile(file, temporary / file_name)
    else:
        link(target, source, place, hashes)
    yield stored(target, is_new=True)


def _checked(path: Path) -> Path:
    """The file or folder to read, if it is a model."""
    if not path.exists():
        raise InputError(f"there is no {path}", hint="tissu models import PATH")
    from tissu_core.checkpoint.model_directory import open_model, refuse_pickles

    refuse_pickles(path)
    place = model_in(path)
    if place is None or not is_whole(path):
        raise InputError(
            f"{path} is no model: neither a .gguf or .npz file, nor a directory with config.json "
            "and all of its safetensors",
            hint="name another one",
        )
    if is_sealed(path):
        verify(path)
    stored = open_model(place)
    _ = stored.table, stored.tensors  # what cannot be read is refused here, not at its first use
    return place


def _files(place: Path) -> dict[str, Path]:
    """What is read with a model: a GGUF holds it all, beside other weights lie their settings."""
    if place.suffix == ".gguf":
        return {place.name: place}
    folder = place.parent if place.is_file() else place
    names = set(model_files(file.name for file in folder.iterdir() if file.is_file())) - {MANIFEST}
    if place.is_file():
        names.add(place.name)
    return {name: folder / name for name in sorted(names)}
