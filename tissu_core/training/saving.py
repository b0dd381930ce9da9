"""Saves that outlive a disk which is full or failing for a while."""

import time
from collections.abc import Callable, Iterator

from tissu_core.checkpoint.training_state import TrainState
from tissu_core.errors import ResourceError
from tissu_core.events.shared import Noticed
from tissu_core.events.training import CheckpointSaved

RETRY_SECONDS = (0.5, 1.0, 2.0)
"""Waits between the tries of one save: long enough for a log rotation or a network disk."""
_FAILURES = 3
"""So many saves in a row that fail end the run: beyond them more would be lost than is won."""


class PatientSaver:
    """Calls ``save``, tries again, and lets training go on while older checkpoints stand."""

    def __init__(self, save: Callable[[TrainState], CheckpointSaved]) -> None:
        self._save = save
        self._failures = 0
        self.saved_step = -1

    def save(self, state: TrainState, *, is_last: bool) -> Iterator[CheckpointSaved | Noticed]:
        """Yield the checkpoint, or why there is none; the last save of a run has to succeed.

        Raises:
            ResourceError: If it has to and does not, or is the third in a row that fails.
        """
        for seconds in (*RETRY_SECONDS, None):
            try:
                saved = self._save(state)
            except ResourceError as error:
                if seconds is None:
                    yield self._give_up(state.step, error, is_last=is_last)
                else:
                    text = f"step {state.step} is not saved: {error.message}; trying again"
                    yield Noticed(level="warning", text=text)
                    time.sleep(seconds)
            else:
                self._failures, self.saved_step = 0, state.step
                yield saved
                return

    def _give_up(self, step: int, error: ResourceError, *, is_last: bool) -> Noticed:
        self._failures += 1
        if is_last or self._failures == _FAILURES:
            raise ResourceError(
                f"step {step} is not saved, {len(RETRY_SECONDS) + 1} tries failed: {error.message}",
                safe="every earlier checkpoint",
                hint=error.hint,
            ) from error
        return Noticed(
            level="warning",
            text=f"training goes on without a checkpoint of step {step}; the earlier ones stand",
        )
