"""The checkpoints of a run: sealed directories and two pointers. Needs no torch.

``checkpoints/step-000500/`` is a model directory with the training state beside it. ``last.json``
and ``best.json`` name one each and move only after the files were read back and hashed. At least
two verified checkpoints stay; an older one goes only after a newer one was verified, and not while
somebody uses it (``leases.py``).
"""

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from tissu_core.checkpoint.leases import leased
from tissu_core.errors import InputError, IntegrityError
from tissu_core.storage import (
    guard_write,
    is_sealed,
    read_json,
    read_manifest,
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


class FallbackOfferedError(IntegrityError):
    """The newest checkpoint is damaged, and an older one is good."""


class CheckpointStore:
    """The checkpoints in one directory; who writes holds the run's lock."""

    def __init__(self, directory: Path, keep: int = 2) -> None:
        self.directory = directory
        self._keep = keep

    def path_of(self, step: int) -> Path:
        """Where the checkpoint of a step is or would be."""
        return self.directory / f"{_PREFIX}{step:06d}"

    def steps(self) -> list[int]:
        """Steps with a finished checkpoint, oldest first."""
        return sorted(step for step in self._directories() if is_sealed(self.path_of(step)))

    def _directories(self) -> set[int]:
        found = {path.name.removeprefix(_PREFIX) for path in self.directory.glob(f"{_PREFIX}*")}
        return {int(number) for number in found if number.isdecimal()}

    def save(self, step: int, write: Callable[[Path], None], facts: Mapping[str, Any]) -> Saved:
        """Write a checkpoint, move ``last`` to it, and drop what is too old.

        Raises:
            ResourceError: If the disk is full or failing; every earlier checkpoint is there.
        """
        started = time.monotonic()
        path = self.path_of(step)
        with guard_write(path):
            self.recover()
            with sealed_directory(path, facts) as temporary:
                write(temporary)
            manifest = read_manifest(path)
            self.point("last", step)
            self._prune()
        num_bytes = sum(file["num_bytes"] for file in manifest["files"].values())
        return Saved(path, num_bytes, time.monotonic() - started)

    def recover(self) -> None:
        """Clear up after a kill: what is half-written goes, what was set aside comes back."""
        remove_leftovers(self.directory, is_locked=True)

    def never_finished(self) -> list[int]:
        """Steps whose checkpoint has no manifest: a crash cut its writing or removal short."""
        return sorted(self._directories() - {*self.steps()})

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
        good one is taken.

        Raises:
            InputError: If there is none, or a newer tissu wrote it.
            FallbackOfferedError: If the newest is damaged; names the next good one.
            IntegrityError: If none is good; nothing is renamed.
        """
        steps = self.steps()
        if not steps:
            raise InputError(
                f"{self.directory} has no finished checkpoint",
                hint="start the run again without --resume",
            )
        try:
            verify(self.path_of(steps[-1]))
        except IntegrityError as error:
            good = next((step for step in reversed(steps) if self.is_good(step)), None)
            if good is None or not is_fallback_allowed:
                raise self._damaged(steps[-1], good, error) from error
            for step in steps[steps.index(good) + 1 :]:
                self._set_aside(step)
            return self.path_of(good)
        return self.path_of(steps[-1])

    def _damaged(self, step: int, good: int | None, error: IntegrityError) -> IntegrityError:
        if good is None:
            return IntegrityError(
                f"step {step} is damaged and no older checkpoint is good: {error.message}",
                hint="start the run again without --resume",
            )
        return FallbackOfferedError(
            f"step {step} is damaged, step {good} is good: {error.message}",
            safe=f"checkpoint {self.path_of(good)}",
            hint=f"tissu train --resume {self.directory.parent} --fallback",
        )

    def _set_aside(self, step: int) -> None:
        path = self.path_of(step)
        aside = path.with_name(f"damaged-{path.name}")
        remove_directory(aside)
        path.rename(aside)

    def is_good(self, step: int) -> bool:
        """Whether a step's checkpoint has every byte as it was written."""
        try:
            verify(self.path_of(step))
        except (IntegrityError, InputError):
            return False
        return True

    def _prune(self) -> None:
        kept = {*self.steps()[-self._keep :], self.pointed("best"), self.pointed("last")}
        used = leased(self.directory)
        for step in self.steps():
            if step not in kept and self.path_of(step).name not in used:
                with suppress(OSError):  # it is tried again at the next save
                    remove_directory(self.path_of(step))
