"""Two real steps before a run, and what they say of it: memory, hours, disk, what is cheaper.

Nothing is written. What other settings would take is reckoned from what was measured, in the
proportions that ``models/count.py`` gives them.
"""

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from tissu_core.config.model import ModelConfig
from tissu_core.config.runs import TrainRun
from tissu_core.config.shape import HEAD_DIM, ModelShape
from tissu_core.errors import ResourceError
from tissu_core.events.shared import Noticed
from tissu_core.events.training import Cheaper, Probed
from tissu_core.models.count import (
    checkpoint_bytes,
    num_parameters,
    train_bytes,
    train_flops_per_token,
)
from tissu_core.runs.train.assembly import Assembly
from tissu_core.runs.train.changed_settings import shape_of
from tissu_core.runs.train.plan import Plan
from tissu_core.runtime.device import resolve_device, synchronize
from tissu_core.runtime.memory import free_bytes, peak_bytes, reset_peak, used_bytes
from tissu_core.storage import free_bytes as free_disk_bytes

_STEPS = 2
_RECOMPUTING = {"none": 3.0, "ffn": 3.5, "block": 4.0}
"""Ways through the model in a step, one forward and two backward; about half are feed-forward."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Case:
    """A run as planned, or a cheaper one."""

    run: TrainRun
    model: ModelConfig
    steps: int

    @property
    def recompute(self) -> str:
        return self.run.machine.checkpoint_activations

    @property
    def memory(self) -> float:
        """Bytes of a step in each process, as an estimate."""
        micro = self.run.training.micro_batch or 1
        all_parts = train_bytes(
            self.model,
            micro,
            self.recompute,
            is_fp32=self.run.machine.precision == "fp32",
            is_averaged=bool(self.run.optimizer.ema_decay),
        )
        return all_parts / self.parts

    @property
    def parts(self) -> int:
        """Processes that a copy of the model lies on; here one takes the steps with all of it."""
        return self.run.machine.num_parts

    @property
    def step_cost(self) -> float:
        """Operations of a step, or what is in proportion to them."""
        tokens = self.run.training.batch_tokens or 0
        return tokens * train_flops_per_token(self.model) * _RECOMPUTING[self.recompute]

    @property
    def disk(self) -> int:
        """Bytes of the checkpoints that are there at once, the best and one in writing among them,
        and of the model at the end."""  # noqa: D205, D209
        training = self.run.training
        saves = 1 + math.ceil(self.steps / (training.save_every or 1))
        is_averaged = bool(self.run.optimizer.ema_decay)
        each = checkpoint_bytes(self.model, is_averaged=is_averaged)
        return round(min(training.keep + 2, saves) * each + 4 * num_parameters(self.model))

    def hours(self, step_seconds: float) -> float:
        """Of steps and of scoring, which costs a third of a step's tokens; or as asked for."""
        training = self.run.training
        if training.minutes is not None:
            return training.minutes / 60
        scored = (training.eval_tokens or 0) / (3 * (training.batch_tokens or 1))
        evaluations = math.ceil(self.steps / (training.eval_every or self.steps))
        return step_seconds * (self.steps + scored * evaluations) / 3600


def probe(
    plan: Plan, assemble: Callable[[Plan], Assembly], directory: Path, num_ranks: int
) -> Iterator[Noticed | Probed]:
    """Take two steps of a plan and tell what came of it; of several ranks, one's share.

    Raises:
        ResourceError: After telling it, if memory or disk does not suffice; a cheaper run is named.
    """
    case = _Case(run=plan.run, model=plan.model, steps=plan.steps)
    measured = _Measured(case, directory)
    failure: ResourceError | None = None
    if case.memory * case.parts <= measured.free:
        try:
            yield from measured.take_steps(assemble(_share_of(plan, num_ranks)))
        except ResourceError as error:
            failure = error
    found = measured.found()
    yield found
    if found.is_fitting and failure is None:
        return
    fitting = [c.change for c in found.alternatives if measured.fits(c.peak_bytes, c.disk_bytes)]
    what, needed, free = "memory", found.peak_bytes, found.free_bytes
    if found.disk_bytes > found.free_disk_bytes:
        what, needed, free = f"disk at {directory}", found.disk_bytes, found.free_disk_bytes
    raise ResourceError(
        f"this run does not fit: it needs {needed / 1e9:.3g} GB of {what}, and {free / 1e9:.3g} GB "
        "are free",
        hint=f"the same command with {fitting[0]}"
        if fitting
        else "a smaller --depth and --context, together",
    ) from failure


def _share_of(plan: Plan, num_ranks: int) -> Plan:
    batch_tokens = (plan.run.training.batch_tokens or 0) // num_ranks
    training = replace(plan.run.training, batch_tokens=batch_tokens)
    return replace(plan, run=replace(plan.run, training=training))


class _Measured:
    """What was measured of a case, and what follows."""

    def __init__(self, case: _Case, directory: Path) -> None:
        self._case, self._directory = case, directory
        self._device = resolve_device(case.run.machine.device)
        reset_peak(self._device)
        self._before = used_bytes(self._device)
        self.free = self._before + free_bytes(self._device)
        """What the program can have, with what it has."""
        self._peak = self._before + case.memory
        self._seconds: float | None = None
        self._mfu_of_token: float | None = None
        self._tokens = 0
        self._disk = free_disk_bytes(directory)

    def take_steps(self, assembly: Assembly) -> Iterator[Noticed]:
        """Two steps, of which the first may set things up."""
        trainer = assembly.trainer(lambda: 0.0)
        self._mfu_of_token = trainer.settings.mfu_of_token
        for _ in range(_STEPS):
            before, started = trainer.state.tokens, time.perf_counter()
            for event in trainer.step():
                if isinstance(event, Noticed):
                    yield event
            synchronize(self._device)
            seconds = (time.perf_counter() - started) / self._case.parts
            self._seconds = min(seconds, self._seconds or seconds)
            self._tokens = trainer.state.tokens - before
        # Below zero by up to some 100 kB where the steps fit into what malloc kept: Linux counts
        # pages in batches of each thread.
        above = max(0, peak_bytes(self._device) - self._before)
        self._peak = self._before + above / self._case.parts

    def fits(self, memory: float, disk: float) -> bool:
        """Whether the machine has so much."""
        return memory <= self.free and disk <= self._disk

    def found(self) -> Probed:
        """All of it."""
        case, seconds = self._case, self._seconds
        training, steps = case.run.training, case.steps
        if training.minutes is not None and seconds is not None:
            steps = max(1, round(training.minutes * 60 / seconds))
        return Probed(
            num_parameters=num_parameters(case.model),
            tokens=steps * (training.batch_tokens or 0),
            steps=steps,
            step_seconds=seconds,
            hours=None if seconds is None else case.hours(seconds),
            peak_bytes=round(self._peak),
            free_bytes=round(self.free),
            disk_bytes=case.disk,
            free_disk_bytes=self._disk,
            is_fitting=self.fits(self._peak, case.disk),
            alternatives=tuple(self._cheaper(change, other) for change, other in _cheaper(case)),
            mfu=self._mfu(),
        )

    def _mfu(self) -> float | None:
        """Of one process, which took its share of the step."""
        if self._seconds is None or self._mfu_of_token is None:
            return None
        return self._tokens / (self._seconds * self._case.parts) * self._mfu_of_token

    def _cheaper(self, change: str, other: _Case) -> Cheaper:
        case, seconds = self._case, self._seconds
        if seconds is not None:
            seconds *= other.step_cost / case.step_cost
        above = (self._peak - self._before) * other.memory / case.memory
        return Cheaper(
            change=change,
            num_parameters=num_parameters(other.model),
            hours=None if seconds is None else other.hours(seconds),
            peak_bytes=round(self._before + above),
            disk_bytes=other.disk,
        )


def _cheaper(case: _Case) -> Iterator[tuple[str, _Case]]:
    """Options that make a run smaller, and the run they make."""
    run, model, training = case.run, case.model, case.run.training
    layers, width = model.num_hidden_layers, model.hidden_size
    context = model.max_position_embeddings
    if not run.tuning.origin and layers > 1:
        option, shape = _half_as_deep(run.model, layers, width)
        yield option, replace(case, model=shape_of(shape, model.vocab_size))
    micro = training.micro_batch or 1
    if micro > 1:
        sequences = (training.batch_tokens or 0) // context
        halved = replace(run, training=replace(training, micro_batch=math.ceil(micro / 2)))
        accumulated = math.ceil(sequences / math.ceil(micro / 2))
        yield f"--grad-accum {accumulated}", replace(case, run=halved)
    if case.recompute == "none":
        machine = replace(run.machine, checkpoint_activations="block")
        again = replace(case, run=replace(run, machine=machine))
        yield "--checkpoint-activations block", again
    if context >= 64:
        shorter = replace(model, max_position_embeddings=context // 2)
        yield f"--context {context // 2}", replace(case, model=shorter)
    if training.minutes is not None:
        minutes = replace(training, minutes=training.minutes / 2)
        half = replace(run, training=minutes)
        yield f"--minutes {training.minutes / 2:g}", replace(case, run=half, steps=case.steps // 2)
    elif case.steps > 1:
        yield f"--steps {case.steps // 2}", replace(case, steps=case.steps // 2)


def _half_as_deep(shape: ModelShape, layers: int, width: int) -> tuple[str, ModelShape]:
    """The option, and the shape: by depth, which sets the width too, where that made it."""
    half = math.ceil(layers / 2)
    if width != layers * HEAD_DIM:
        return f"--layers {half}", replace(shape, num_hidden_layers=half)
    return f"--depth {half}", replace(
        shape,
        num_hidden_layers=half,
        hidden_size=half * HEAD_DIM,
        num_attention_heads=None,
        num_key_value_heads=None,
    )
