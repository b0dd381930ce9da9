"""What runs and models exist, and which one a name means. Imports no torch."""

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tissu_core.checkpoint.store import CheckpointStore
from tissu_core.errors import BusyError, InputError, IntegrityError, TissuError, nearest
from tissu_core.fetch.hub_cache import is_repo
from tissu_core.fetch.model_files import ONE_FILE, model_in
from tissu_core.runs.follow import RunFacts, read_facts
from tissu_core.runs.home import home, models_directory, runs_directory
from tissu_core.runs.models.known import FIRST_MODEL, known_model
from tissu_core.runs.models.other_programs import find_elsewhere, scan
from tissu_core.runs.models.store import follow, source_of, stored_models
from tissu_core.runs.run_directory import (
    CHECKPOINTS,
    MODEL,
    RUN_FILE,
    find_run,
    is_being_written,
    run_directories,
    run_of,
)
from tissu_core.storage import MANIFEST, is_sealed, read_json, remove_directory


@dataclass(frozen=True, slots=True, kw_only=True)
class RunEntry:
    """One run as a list shows it."""

    name: str
    directory: str
    is_running: bool
    num_bytes: int
    facts: RunFacts


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelEntry:
    """One model that MODEL can name."""

    name: str
    path: str
    source: str
    num_bytes: int
    bits_per_byte: float | None


def list_runs() -> list[RunEntry]:
    """All runs at home, the newest first."""
    return [describe_run(path) for path in run_directories()]


def describe_run(path: Path) -> RunEntry:
    """Facts of one run."""
    return RunEntry(
        name=path.name,
        directory=str(path),
        is_running=is_being_written(path),
        num_bytes=_size_of(path),
        facts=read_facts(path),
    )


def remove_run(given: str) -> RunEntry:
    """Remove a run with its checkpoints and its model.

    Raises:
        InputError: If there is no such run.
        BusyError: If it is being written.
    """
    path = find_run(given)
    entry = describe_run(path)
    if entry.is_running:
        raise BusyError(f"run {entry.name!r} is being written", hint="stop it first")
    (path / RUN_FILE).unlink()  # without it, what is left is no run
    remove_directory(path)
    return entry


def list_models() -> list[ModelEntry]:
    """Models of runs, the newest first, then of the store by name."""
    found = []
    for run in run_directories():
        path = _model_of_run(run)
        if path is not None:
            found.append(_entry(run.name, path, "run"))
    return found + [_stored_entry(path) for path in stored_models()]


def names_here() -> list[str]:
    """Every MODEL that needs no network: of runs, of the store, of other programs."""
    runs = [run.name for run in run_directories() if _model_of_run(run) is not None]
    return [*runs, *(path.name for path in stored_models()), *(model.name for model in scan())]


def find_model(given: str | None) -> Path:
    """The model for a run, a name in the store or of another program, a path, or nothing (the
    newest): a directory, or a file of one.

    Of a run: ``model``, else its best checkpoint, else its last; ``RUN:STEP`` is a checkpoint. A
    plain word is a name first, so that a folder of the same name in the way does not hide the run.

    Raises:
        InputError: If there is no such model; names the nearest.
    """  # noqa: D205
    return follow(locate_model(given))


def locate_model(given: str | None) -> Path:
    """``find_model`` without following a link of the store to where the files lie."""
    if given is None:
        return _newest_model()
    path = Path(given).expanduser()
    stored = models_directory() / given
    files = [Path(f"{stored}{kind}") for kind in ONE_FILE]
    for candidate in (runs_directory() / given, stored, *files, path):
        if (candidate / RUN_FILE).is_file():
            return _model_of_run(candidate) or _refuse_unsaved(candidate)
        if is_sealed(candidate) or model_in(candidate) is not None:
            return candidate
    if path.exists():
        return path  # whatever it is, reading it says what is wrong
    elsewhere = find_elsewhere(given)
    if elsewhere is not None:
        return elsewhere
    run_name, _, step = given.rpartition(":")
    if run_name and step.isdecimal():
        return _checkpoint_of(find_run(run_name), int(step))
    raise _no_model(given)


def _no_model(given: str) -> InputError:
    close = nearest(given, names_here())
    hint = f"did you mean {' or '.join(close)}?" if close else "tissu models list"
    if is_repo(given) or known_model(given) is not None:
        hint = f"tissu models pull {given}"
    return InputError(
        f"there is no model {given!r}: no such run, stored model or directory", hint=hint
    )


def remove_model(name: str) -> Path | None:
    """Remove a model from the store; returns where its files stay, if they are used in place.

    Raises:
        InputError: If the store has no such model.
    """
    path = stored_model(name)
    try:
        place = follow(path)
    except TissuError:  # what is damaged or gone may go as well
        place = path
    path.unlink() if path.is_file() else remove_directory(path)
    return place if place.exists() else None


def stored_model(name: str) -> Path:
    """A model's own place in the store.

    Raises:
        InputError: If the store has no such model.
    """
    if (runs_directory() / name / RUN_FILE).is_file():
        raise InputError(f"{name!r} is a run", hint=f"tissu runs rm {name}")
    stored = {path.name: path for path in stored_models()}
    if name not in stored:
        close = nearest(name, stored)
        raise InputError(
            f"the store has no model {name!r}",
            hint=f"did you mean {' or '.join(close)}?" if close else "tissu models list",
        )
    return stored[name]


def name_a_good_one(damaged: Path, error: IntegrityError) -> IntegrityError:
    """The error for a damaged model; of a run, with a checkpoint that is whole."""
    run = run_of(damaged)
    if run is not None:
        store = CheckpointStore(run / CHECKPOINTS)
        for step in reversed(store.steps()):
            if store.path_of(step) != damaged and store.is_good(step):
                return IntegrityError(
                    error.message,
                    safe=f"step {step} of the run is good",
                    hint=f"name it as the model: {store.path_of(step)}",
                )
    return error


def _newest_model() -> Path:
    for run in run_directories():
        path = _model_of_run(run)
        if path is not None:
            return path
    stored = stored_models()
    if stored:
        return max(stored, key=lambda path: path.stat().st_mtime)
    raise InputError(
        f"there is no model in {home()}",
        hint=f"tissu models pull {FIRST_MODEL.name}, or make one: tissu train --demo",
    )


def _refuse_unsaved(run: Path) -> Path:
    raise InputError(
        f"run {run.name!r} has no finished checkpoint yet", hint="wait for its first save"
    )


def _model_of_run(run: Path) -> Path | None:
    store = CheckpointStore(run / CHECKPOINTS)
    # The best of a run that has just begun is what it began with.
    pointed = [store.pointed("best") or None, store.pointed("last"), *reversed(store.steps())]
    for path in (run / MODEL, *(store.path_of(step) for step in pointed if step is not None)):
        if is_sealed(path):
            return path
    return None


def _checkpoint_of(run: Path, step: int) -> Path:
    store = CheckpointStore(run / CHECKPOINTS)
    path = store.path_of(step)
    if not is_sealed(path):
        kept = " or ".join(f"{run.name}:{kept}" for kept in store.steps())
        raise InputError(
            f"run {run.name!r} keeps no checkpoint of step {step}", hint=kept or "tissu models list"
        )
    return path


def _stored_entry(path: Path) -> ModelEntry:
    try:
        source = source_of(path)
        return _entry(path.name, follow(path), "store" if source is None else source.kind)
    except TissuError:
        return _entry(path.name, path, "unreadable")  # models show and verify say why


def _entry(name: str, path: Path, source: str) -> ModelEntry:
    score: float | None = None
    with suppress(OSError, TissuError):
        score = read_json(path / MANIFEST).get("bits_per_byte")
    return ModelEntry(
        name=name, path=str(path), source=source, num_bytes=_size_of(path), bits_per_byte=score
    )


def _size_of(path: Path) -> int:
    total = 0
    for file in (path, *path.rglob("*")):
        try:
            total += file.stat().st_size if file.is_file() else 0
        except OSError:
            continue
    return total
