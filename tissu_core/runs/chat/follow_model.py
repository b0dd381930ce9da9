"""Which model of a run is its newest. Imports no torch."""

from pathlib import Path

from tissu_core.checkpoint.store import CheckpointStore
from tissu_core.errors import InputError
from tissu_core.runs.run_directory import CHECKPOINTS, MODEL, find_run, is_being_written, step_of
from tissu_core.storage import MANIFEST, is_sealed


def newest_checkpoint(run: str) -> tuple[Path, int | None]:
    """What to open of a run that is followed, and its step.

    While the run trains, or if it was stopped, that is its last checkpoint; its model, the best of
    them, once it is finished.

    Raises:
        InputError: If there is no such run, or it has saved nothing yet.
        IntegrityError: If its model's manifest is damaged.
    """
    directory = find_run(run)
    model, store = directory / MODEL, CheckpointStore(directory / CHECKPOINTS)
    last = store.pointed("last")
    if is_sealed(model) and not is_being_written(directory) and not _went_on(model, store):
        return model, step_of(model)
    if last is None:
        raise InputError(
            f"run {directory.name!r} has no finished checkpoint yet",
            hint="wait for its first save",
        )
    return store.path_of(last), last


def _went_on(model: Path, store: CheckpointStore) -> bool:
    """Whether the run was resumed after it had written its model, and saved."""
    last = store.directory / "last.json"
    return last.is_file() and last.stat().st_mtime > (model / MANIFEST).stat().st_mtime
