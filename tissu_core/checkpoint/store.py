"""The checkpoints of a run: sealed directories and two pointers. Needs no torch.

``checkpoints/step-000500/`` is a model directory with the training state beside it. ``last.json``
and ``best.json`` name one each and move only after the files were read back and hashed. At least
two verified checkpoints stay; an older one goes only after a newer one was verified.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from tissu_core.errors import InputError, IntegrityError
from tissu_core.storage import (
    is_sealed,
    read_json,
    remove_directory,
    remove_leftovers,
    sealed_directory,
    verify,
    write_json,
)

Pointer = Literal["last", "best"]
_PREFIX = "step-"


@dataclass(frozen=True, slots=True)
class Saved:
    """A checkpoint that was written and verified."""

    path: Path
    num_bytes: int
    seconds: float


class CheckpointStore:
    """The checkpoints in one directory."""

    def __init__(self, directory: Path, keep: int = 2) -> None:
        self.directory = directory
        self._keep = keep

    def path_of(self, step: int) -> Path:
        """Where the checkpoint of a step is or would be."""
        return self.directory / f"{_PREFIX}{step:06d}"

    def steps(self) -> list[int]:
        """Steps with a finished checkpoint, oldest first."""
        found = {path.name.removeprefix(_PREFIX) for path in self.directory.glob(f"{_PREFIX}*")}
        steps = {int(number) for number in found if number.isdecimal()}
        return sorted(step for step in steps if is_sealed(self.path_of(step)))

    def save(self, step: int, write: Callable[[Path], None], facts: Mapping[str, Any]) -> Saved:
        """Write a checkpoint, read it back, move ``last`` to it, and drop what is too old."""
        started = time.monotonic()
        remove_leftovers(self.directory)
        path = self.path_of(step)
        with sealed_directory(path, facts) as temporary:
            write(temporary)
        manifest = verify(path)
        self.point("last", step)
        self._prune()
        num_bytes = sum(file["num_bytes"] for file in manifest["files"].values())
        return Saved(path, num_bytes, time.monotonic() - started)

    def point(self, name: Pointer, step: int, bits_per_byte: float | None = None) -> None:
        """Let ``last`` or ``best`` name a step's checkpoint."""
        score = {} if bits_per_byte is None else {"bits_per_byte": bits_per_byte}
        write_json(self.directory / f"{name}.json", {"step": step, **score})

    def best_score(self) -> tuple[int, float] | None:
        """Step and bits per byte of the best checkpoint, if it is there."""
        step = self.pointed("best")
        if step is None:
            return None
        return step, float(read_json(self.directory / "best.json")["bits_per_byte"])

    def pointed(self, name: Pointer) -> int | None:
        """The step a pointer names, if its checkpoint is there."""
        path = self.directory / f"{name}.json"
        if not path.is_file():
            return None
        try:
            step = int(read_json(path)["step"])
        except (IntegrityError, KeyError, TypeError, ValueError):
            return None
        return step if is_sealed(self.path_of(step)) else None

    def newest_verified(self, *, is_fallback_allowed: bool) -> Path:
        """The newest checkpoint, with every byte as it was written.

        With ``is_fallback_allowed`` a damaged one is renamed to ``damaged-...`` and the next older
        one is taken.

        Raises:
            InputError: If there is none.
            IntegrityError: If the newest is damaged; names the next good one.
        """
        for step in reversed(self.steps()):
            path = self.path_of(step)
            try:
                verify(path)
            except IntegrityError as error:
                if not is_fallback_allowed:
                    raise self._offer_next(step, error) from error
                aside = path.with_name(f"damaged-{path.name}")
                remove_directory(aside)
                path.rename(aside)
            else:
                return path
        raise InputError(
            f"{self.directory} has no finished checkpoint",
            hint="start the run again without --resume",
        )

    def _offer_next(self, step: int, error: IntegrityError) -> IntegrityError:
        older = [older for older in reversed(self.steps()) if older < step]
        good = next((older for older in older if self.is_good(older)), None)
        if good is None:
            return IntegrityError(
                f"step {step} is damaged and no older checkpoint is good: {error.message}",
                hint="start the run again without --resume",
            )
        return IntegrityError(
            f"step {step} is damaged, step {good} is good: {error.message}",
            safe=f"checkpoint {self.path_of(good)}",
            hint=f"tissu train --resume {self.directory.parent} --fallback",
        )

    def is_good(self, step: int) -> bool:
        """Whether a step's checkpoint has every byte as it was written."""
        try:
            verify(self.path_of(step))
        except (IntegrityError, InputError):
            return False
        return True

    def _prune(self) -> None:
        kept = {*self.steps()[-self._keep :], self.pointed("best"), self.pointed("last")}
        for step in self.steps():
            if step not in kept:
                remove_directory(self.path_of(step))
