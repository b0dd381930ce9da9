"""What is exported, and where it may be put."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tissu_core.config.machine import DeviceConfig
from tissu_core.errors import ConfigError
from tissu_core.runs.models.store import name_of
from tissu_core.runs.run_directory import run_of
from tissu_core.storage import guard_write, remove_directory
from tissu_core.storage.files import TEMPORARY, sync_directory, sync_file

if TYPE_CHECKING:
    from tissu_core.checkpoint.model_directory import LoadedModel


def load_for_export(model: str | None) -> "tuple[LoadedModel, str]":
    """The model, in fp32, and its name.

    Raises:
        InputError: If it cannot be read, or its weights are packed already.
    """
    from tissu_core.checkpoint.model_directory import in_full
    from tissu_core.runs.loading import load_for_use

    loaded, _ = load_for_use(model, DeviceConfig(device="cpu"))
    loaded = in_full(loaded)
    run = run_of(loaded.path)
    return loaded, name_of(loaded.path) if run is None else run.name


def check_type(kind: str, known: tuple[str, ...]) -> str:
    """The type as the format's list has it, however it was capitalised.

    Raises:
        ConfigError: Naming those it has.
    """
    if kind.lower() not in known:
        raise ConfigError(
            f"--type is {kind!r}", field="type", hint=f"use one of: {', '.join(known)}"
        )
    return kind.lower()


def new_file(out: str | Path, suffix: str) -> Path:
    """A path where nothing is.

    Raises:
        ConfigError: If something is there.
    """
    target = Path(out).expanduser()
    if target.is_dir():
        raise ConfigError(
            f"{target} is a directory", field="out", hint=f"-o {target / 'model'}.{suffix}"
        )
    if target.exists():
        other = target.with_stem(f"{target.stem}-2")
        raise ConfigError(f"{target} is there already", field="out", hint=f"-o {other}")
    return target


@contextmanager
def whole_files(target: Path) -> Iterator[Path]:
    """A path of the same name in a temporary folder; all that is there in the end comes beside.

    Raises:
        ResourceError: If the disk is full, read-only or failing.
    """
    folder = target.with_name(f"{TEMPORARY}{os.getpid()}-{target.stem}")
    with guard_write(target):
        folder.mkdir(parents=True)
        try:
            yield folder / target.name
            for path in sorted(folder.iterdir(), reverse=True):  # the target itself comes last
                with path.open("rb") as file:
                    sync_file(file.fileno())
                path.replace(target.with_name(path.name))
            sync_directory(target.parent)
        finally:
            remove_directory(folder)
