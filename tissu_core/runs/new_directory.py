"""Where a verb that makes something may put it."""

from pathlib import Path

from tissu_core.errors import ConfigError, ResourceError
from tissu_core.runs.home import models_directory
from tissu_core.runs.models.store import name_of
from tissu_core.runs.run_directory import check_name, run_of
from tissu_core.storage import free_bytes


def new_model_directory(out: str, source: Path, suffix: str) -> Path:
    """The place of a model made from ``source``.

    ``out`` is a directory, or a plain word: a name in the store, as a plain word given for a model
    is. Without it, the source's name with ``suffix`` behind it.

    Raises:
        ConfigError: If something is there, or the name is not one.
    """
    if out and Path(out).name == out and out != "..":
        check_name(out, "--out")
        return new_directory(models_directory() / out)
    if out:
        return new_directory(out)
    run = run_of(source)
    name = run.name if run is not None else name_of(source)
    return new_directory(models_directory() / f"{name}-{suffix}")


def new_directory(out: str | Path) -> Path:
    """``out``, if it is free.

    Raises:
        ConfigError: If something is there.
    """
    target = Path(out).expanduser()
    if target.is_file() or (target.is_dir() and any(target.iterdir())):
        raise ConfigError(
            f"{target} is not an empty directory",
            field="out",
            hint=f"-o {out}-2",
        )
    return target


def require_room(target: Path, needed: int, smaller: str) -> None:
    """Refuse what the disk would not take.

    Raises:
        ResourceError: Before anything is written.
    """
    free = free_bytes(target.parent)
    if needed > free:
        raise ResourceError(
            f"{target} will have {needed / 1e9:.3g} GB, and its disk has {free / 1e9:.3g} GB free",
            safe="everything; nothing was written",
            hint=f"free some of it, name another place with -o, or {smaller}",
        )
