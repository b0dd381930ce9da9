"""A run's directory: its name, its one writer, and the files in it."""

import json
import os
import re
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from tissu_core.config.runs import TrainRun
from tissu_core.errors import BusyError, ConfigError, InputError, ResourceError, nearest
from tissu_core.runs.home import runs_directory
from tissu_core.storage import is_sealed, read_manifest, remove_leftovers, write_text
from tissu_core.storage.files import TEMPORARY
from tissu_core.tracking.event_log import EVENTS_FILE

RUN_FILE = "config.toml"
CHECKPOINTS = "checkpoints"
MODEL = "model"
PROFILE = "profile"
_LOCK_FILE = "run.lock"
_OWNER_FILE = "owner.json"
_BEFORE_A_RUN = {_LOCK_FILE, _OWNER_FILE, EVENTS_FILE}
_PATIENCE_SECONDS = 0.5
"""A listing looks at the lock for a moment; that is not another writer."""
_NAME = re.compile(
    r"(?!(con|prn|aux|nul|com\d|lpt\d)(\.|$))[a-z0-9][a-z0-9._-]{0,127}(?<!\.)",
    re.ASCII | re.IGNORECASE,
)
"""Names that every platform can give a folder; Windows keeps some for its devices."""


def new_run_directory(run: TrainRun) -> Path:
    """Where a new run goes; nothing is made yet.

    Raises:
        ConfigError: If the name is no plain name, or ``out`` holds something else.
        BusyError: If another process is making a run there.
    """
    name, out = run.name, run.out
    if name:
        check_name(name, "--name")
    if out:
        path = Path(out).expanduser()
        _refuse_written(path)
        if not _is_free(path):
            raise ConfigError(
                f"--out {path} is not an empty directory",
                field="out",
                hint="name a new one, or go on with: tissu train --resume " + str(path),
            )
        return path
    if name:
        path = runs_directory() / name
        _refuse_written(path)
        if not _is_free(path):
            raise ConfigError(
                f"there is a run {name!r} already",
                field="name",
                hint=f"another --name, or go on with: tissu train --resume {name}",
            )
        return path
    return _free_name(_plain_name(run.name_stem) or _name_from(run.data.corpus))


def _is_free(path: Path) -> bool:
    """Whether nothing is there, or what a start leaves that was killed before it had settings."""
    if not path.is_dir():
        return not path.exists()
    names = {each.name for each in path.iterdir() if not each.name.startswith(TEMPORARY)}
    return names <= _BEFORE_A_RUN


def check_name(name: str, option: str) -> None:
    """Refuse what not every platform can call a folder.

    Raises:
        ConfigError: If it is not a plain name.
    """
    if not _NAME.fullmatch(name):
        raise ConfigError(
            f"{option} is {name!r}; a name has letters, digits, dot, dash and underscore, no dot "
            "or dash at the edge, and is not one of Windows' devices",
            field=option.strip("-"),
            hint=f"{option} my-name",
        )


def refuse_taken(path: Path) -> None:
    """Refuse a directory that another start made a run of meanwhile; call it with the lock held.

    Raises:
        BusyError: If there is a run.
    """
    if (path / RUN_FILE).exists():
        raise BusyError(
            f"another process made a run in {path} meanwhile",
            safe="that run, and the prepared text",
            hint="the same command again, or another --name",
        )


def _name_from(corpus: tuple[str, ...]) -> str:
    stem = Path(corpus[0]).expanduser().resolve().name.split(".")[0] if corpus else "run"
    return _plain_name(stem) or "run"


def _plain_name(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9_-]+", "-", text).strip("-_")[:40]


def _free_name(stem: str) -> Path:
    number = 1
    while (runs_directory() / f"{stem}-{number}").exists():
        number += 1
    return runs_directory() / f"{stem}-{number}"


def find_run(given: str) -> Path:
    """The directory of a run by name or path; "last" is the newest.

    Raises:
        InputError: If there is no such run; names the nearest.
    """
    if given == "last":
        runs = run_directories()
        if not runs:
            raise InputError(f"there is no run in {runs_directory()}", hint="tissu train CORPUS")
        return runs[0]
    for path in (runs_directory() / given, Path(given).expanduser()):
        if (path / RUN_FILE).is_file():
            return path
    names = [path.name for path in run_directories()]
    close = nearest(given, names)
    raise InputError(
        f"there is no run {given!r} in {runs_directory()}",
        hint=f"did you mean {' or '.join(close)}?" if close else "tissu runs list",
    )


def run_of(model: Path) -> Path | None:
    """The run that a model directory belongs to: ``RUN/model`` or ``RUN/checkpoints/step-N``."""
    model = model.resolve()
    run = model.parent if model.name == MODEL else model.parent.parent
    is_place = model.name == MODEL or model.parent.name == CHECKPOINTS
    return run if is_place and (run / RUN_FILE).is_file() else None


def step_of(model: Path) -> int | None:
    """The step of a run's model or checkpoint; None of any other.

    Raises:
        IntegrityError: If its manifest is damaged.
    """
    if run_of(model) is None or not is_sealed(model):
        return None
    step = read_manifest(model).get("step")
    return step if isinstance(step, int) else None


def run_directories() -> list[Path]:
    """All runs at home, the one written last first."""
    found = [path.parent for path in runs_directory().glob(f"*/{RUN_FILE}")]
    return sorted(found, key=_last_written, reverse=True)


def _last_written(run: Path) -> float:
    times = [0.0]
    for name in ("events.jsonl", RUN_FILE):
        with suppress(OSError):
            times.append((run / name).stat().st_mtime)
    return max(times)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Be the one writer of a run's directory, which is made if need be.

    The lock belongs to the process and goes with it, however it ends.

    Raises:
        BusyError: If another process writes there; says which.
        ResourceError: If the directory cannot be written.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
        lock = FileLock(path / _LOCK_FILE, timeout=_PATIENCE_SECONDS)
        lock.acquire()
    except Timeout as error:
        raise _busy(path) from error
    except OSError as error:
        raise ResourceError(
            f"cannot write to {path}: {error.strerror}", hint="--out DIR, somewhere writable"
        ) from error
    try:
        remove_leftovers(path, is_locked=True)
        owner = {"pid": os.getpid(), "host": socket.gethostname(), "since": time.time()}
        write_text(path / _OWNER_FILE, json.dumps(owner))
        yield
    finally:
        lock.release()


def _refuse_written(path: Path) -> None:
    if is_being_written(path):
        raise _busy(path)


def _busy(path: Path) -> BusyError:
    return BusyError(
        f"another process writes to {path}{_owner(path)}",
        safe="that run goes on unharmed",
        hint="wait for it, or train under another --name",
    )


def is_being_written(path: Path) -> bool:
    """Whether a live process holds the run."""
    lock_file = path / _LOCK_FILE
    if not lock_file.is_file():
        return False
    lock = FileLock(lock_file, timeout=0)
    try:
        with lock:
            return False
    except Timeout:
        return True
    except OSError:  # read-only: nobody writes there
        return False


def _owner(path: Path) -> str:
    try:
        owner = json.loads((path / _OWNER_FILE).read_text("utf-8"))
        since = time.strftime("%H:%M", time.localtime(owner["since"]))
        return f": pid {owner['pid']} since {since} on {owner['host']}"
    except (OSError, ValueError, KeyError, TypeError):
        return ""
