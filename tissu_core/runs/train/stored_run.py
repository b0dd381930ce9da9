"""What a run's ``config.toml`` holds: all that is needed to run again."""

from dataclasses import dataclass, field
from pathlib import Path

from tissu_core.config.layers import STORED_FACTS
from tissu_core.config.load import build_config, read_toml, to_toml
from tissu_core.config.runs import TrainRun
from tissu_core.errors import InputError
from tissu_core.runs.run_directory import RUN_FILE
from tissu_core.storage import write_text

_STEPS_FIELD, _DATA_FIELD, _SEAM_FIELD = STORED_FACTS


@dataclass(frozen=True, slots=True, kw_only=True)
class DataSeam:
    """Where the order of the data was last begun or bent: steps before it read it otherwise."""

    text_from_step: int = -1
    """Scores of this step and those before are of another text than it is now."""
    step: int = 0
    window: int = 0
    """``step`` begins with this window, and the size of batches has followed one rule since."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredRun:
    """A run's resolved settings, and what was found when it began."""

    run: TrainRun
    steps: int
    """Planned; an estimate when the clock ends the run."""
    tokens_key: str
    seam: DataSeam = field(default_factory=DataSeam)


def write_run(directory: Path, stored: StoredRun) -> None:
    """Store the resolved settings."""
    seam = stored.seam
    facts = (
        f"{_STEPS_FIELD} = {stored.steps}\n{_DATA_FIELD} = '{stored.tokens_key}'\n"
        f"{_SEAM_FIELD} = {{ text_from_step = {seam.text_from_step}, step = {seam.step}, "
        f"window = {seam.window} }}\n"
    )
    write_text(directory / RUN_FILE, facts + to_toml(stored.run))


def read_run(directory: Path) -> StoredRun:
    """The settings a run was stored with.

    Raises:
        InputError: If the file was not written by a run.
    """
    table = read_toml(directory / RUN_FILE)
    try:
        steps, key = int(table.pop(_STEPS_FIELD)), str(table.pop(_DATA_FIELD))
        seam = DataSeam(**table.pop(_SEAM_FIELD, {}))
    except (KeyError, ValueError, TypeError) as error:
        raise InputError(
            f"{directory / RUN_FILE} was not written by a run: {error}", hint="start a new run"
        ) from error
    return StoredRun(run=build_config(TrainRun, table), steps=steps, tokens_key=key, seam=seam)
