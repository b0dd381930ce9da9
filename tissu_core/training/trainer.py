"""The training loop. There is one; new methods bring an objective or a transform."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from tissu_core.checkpoint.training_state import TrainState
from tissu_core.errors import DivergedError
from tissu_core.events.shared import Noticed, StageAdvanced
from tissu_core.events.training import (
    CheckpointSaved,
    EvalFinished,
    RunResumed,
    SampleGenerated,
    StepFinished,
)
from tissu_core.models.decoder import Decoder
from tissu_core.models.score import Score
from tissu_core.runtime.memory import used_bytes, utilization
from tissu_core.runtime.precision import device_of_fp64
from tissu_core.runtime.seeds import derive_seed
from tissu_core.training.containment import Containment, diverged, is_diverged, rolled_back, skipped
from tissu_core.training.gradients import Gradients, Objective
from tissu_core.training.optim import Optimizer
from tissu_core.training.saving import PatientSaver

LoopEvent = (
    StepFinished
    | StageAdvanced
    | EvalFinished
    | CheckpointSaved
    | SampleGenerated
    | Noticed
    | RunResumed
)
EndReason = Literal["finished", "stopped", "patience"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopSettings:
    """Plain numbers of the loop."""

    steps: int
    """The last step, or an estimate when ``seconds`` ends the run."""
    seconds: float
    """Ends the run this long after it began; 0 leaves that to ``steps``."""
    micro_batch: int
    clip_value: float
    clip_norm: float
    log_every: int
    eval_every: int
    save_every: int
    patience: int
    seed: int
    precision: str
    is_scored_first: bool = False
    """Whether the model is scored before the first step: it has learned before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopParts:
    """What the loop calls, as plain functions."""

    objective: Objective
    batch: Callable[[int], Tensor]
    """Number to windows (B, T+1) on the CPU."""
    sources: Callable[[int], list[str]]
    """Number of a batch to the files it is from."""
    schedule: Callable[[int, float], float]
    """(step, progress) to a factor on the learning rates."""
    evaluate: Callable[[], Iterator[StageAdvanced | Score]]
    """Yields progress, and last the score."""
    save: Callable[[TrainState], CheckpointSaved]
    """Raises a ResourceError while the disk does not take it."""
    restore: Callable[[TrainState], RunResumed | None]
    """Weights, moments and state as the newest checkpoint has them; None where there is none."""
    mark_best: Callable[[int], None]
    sample: Callable[[int], SampleGenerated]
    clock: Callable[[], float]
    """Seconds since the run began, earlier sessions included."""


class Trainer:
    """Trains a model in place; ``run`` yields what happens."""

    def __init__(
        self,
        model: Decoder,
        optimizer: Optimizer,
        settings: LoopSettings,
        parts: LoopParts,
        state: TrainState,
    ) -> None:
        self.model, self.optimizer, self.settings = model, optimizer, settings
        self.parts, self.state = parts, state
        self.end_reason: EndReason = "finished"
        self._saver = PatientSaver(parts.save)
        self._parameters = list(model.parameters())
        self._device = self._parameters[0].device
        self._gradients = Gradients(
            model, parts.objective, state.micro_batch or settings.micro_batch, settings.precision
        )
        self._factor = 0.0
        self._begin_counting()

    def _begin_counting(self) -> None:
        """Counts from the state on, kept on the device and read when something is reported."""
        state = self.state
        self._containment = Containment(state, self._device)
        self._loss_sum = torch.tensor(
            state.unreported_loss,
            dtype=torch.float64,
            device=device_of_fp64(self._device),
        )
        self._grad_norm = torch.zeros((), device=self._device)
        self._mark = (time.perf_counter(), state.tokens)

    def run(self, should_stop: Callable[[], bool]) -> Iterator[LoopEvent]:
        """Train until the budget, the patience or the person ends it; saved at the end."""
        last_scored = -1
        if self.settings.is_scored_first and self.state.step == 0 and not should_stop():
            yield from self._save_and_evaluate()
        while not self._is_finished(should_stop):
            yield from self._step()
            step = self.state.step
            is_eval_due = step % self.settings.eval_every == 0
            is_save_due = step % self.settings.save_every == 0
            is_report_due = is_eval_due or step % self.settings.log_every == 0
            if is_report_due or is_save_due or self._progress() >= 1:
                yield from self._contain()
                if self.state.step < step:
                    continue
            if is_report_due:
                yield from self._report()
            if is_eval_due:
                yield from self._save_and_evaluate()
                last_scored = step
            elif is_save_due:
                yield from self._save()
        self._containment.read_into(self.state)
        if self.end_reason == "stopped":
            # Unreported, so that the next report is that of a run which never stopped.
            yield from self._save(is_last=True)
            return
        yield from self._report()
        if not self.state.step == last_scored == self._saver.saved_step:
            yield from self._save_and_evaluate(is_last=True)

    def _is_finished(self, should_stop: Callable[[], bool]) -> bool:
        settings, state = self.settings, self.state
        if should_stop():
            self.end_reason = "stopped"
        elif settings.patience and state.evals_since_best >= settings.patience:
            self.end_reason = "patience"
        else:
            return self._progress() >= 1 and state.step > 0
        return True

    def _progress(self) -> float:
        if self.settings.seconds:
            return min(1.0, self.parts.clock() / self.settings.seconds)
        return self.state.step / self.settings.steps

    def _step(self) -> Iterator[Noticed]:
        state, settings = self.state, self.settings
        self.model.train()
        self._factor = self.parts.schedule(state.step, self._progress())
        number = state.step + state.batch_offset
        windows = self.parts.batch(number)
        loss = yield from self._gradients.accumulate(
            windows, derive_seed(settings.seed, "step", number)
        )
        if self._gradients.micro_batch < min(settings.micro_batch, len(windows)):
            state.micro_batch = self._gradients.micro_batch  # memory did not suffice for more
        norm = self._gradients.clip(settings.clip_value, settings.clip_norm)
        is_bad = self._containment.judge(loss, norm)
        self.optimizer.step(self._factor, is_bad)
        self._loss_sum += torch.where(is_bad.to(loss.device), 0.0, loss)
        self._grad_norm = torch.where(is_bad, self._grad_norm, norm)
        state.step += 1
        state.tokens += windows[:, 1:].numel()
        state.unreported_steps += 1

    def _contain(self) -> Iterator[Noticed | RunResumed]:
        """Say which steps were left out; too many in a row take the run back, once.

        Raises:
            DivergedError: If that did not help, or there is no checkpoint to go back to.
        """
        state = self.state
        before = state.unreported_skips
        self._containment.read_into(state)
        if state.unreported_skips > before:
            yield skipped(state.unreported_skips - before, state.step)
        if not is_diverged(state):
            return
        error, step = self._diverged(), state.step
        resumed = None if state.batch_offset else self.parts.restore(state)
        if resumed is None:
            raise error
        state.skips_in_row, state.batch_offset = 0, step - state.step
        self._begin_counting()
        yield resumed
        yield rolled_back(error, state.step)

    def _diverged(self) -> DivergedError:
        state = self.state
        first = state.step - max(1, state.skips_in_row)
        files = self.parts.sources(first + state.batch_offset)
        return diverged(first + 1, self._learning_rate(), files)

    def _learning_rate(self) -> float:
        return self.optimizer.peak_learning_rate * self._factor

    def _report(self) -> Iterator[StepFinished]:
        """What the steps since the last report came to, unless all of them were left out."""
        state = self.state
        counted = state.unreported_steps - state.unreported_skips
        if not counted:
            return
        state.loss = float(self._loss_sum) / counted
        state.unreported_loss, state.unreported_steps, state.unreported_skips = 0.0, 0, 0
        state.elapsed_seconds = self.parts.clock()
        norm, (then, tokens) = float(self._grad_norm), self._mark
        self._begin_counting()
        yield StepFinished(
            step=state.step,
            progress=min(1.0, self._progress()),
            loss=state.loss,
            learning_rate=self._learning_rate(),
            grad_norm=norm,
            tokens=state.tokens,
            tokens_per_second=(state.tokens - tokens) / max(1e-9, self._mark[0] - then),
            elapsed_seconds=state.elapsed_seconds,
            memory_bytes=used_bytes(self._device),
            device_utilization=utilization(self._device),
        )

    def _save(self, *, is_last: bool = False) -> Iterator[CheckpointSaved | Noticed]:
        started = time.perf_counter()
        self._refuse_bad()
        self.state.unreported_loss = float(self._loss_sum)
        self.state.elapsed_seconds = self.parts.clock()
        yield from self._saver.save(self.state, is_last=is_last)
        self._leave_out(started)

    def _save_and_evaluate(self, *, is_last: bool = False) -> Iterator[LoopEvent]:
        """Save first: whatever scoring does, the steps before it are safe."""
        yield from self._save(is_last=is_last)
        started = time.perf_counter()
        self.model.eval()
        score = Score()
        for found in self.parts.evaluate():
            if isinstance(found, Score):
                score = found
            else:
                yield found
        yield self._judge(score)
        yield self.parts.sample(self.state.step)
        self._leave_out(started)

    def _judge(self, score: Score) -> EvalFinished:
        state = self.state
        is_better = score.bits_per_byte < state.best_bits_per_byte
        # One that the disk did not take is not there to come back to, and no lack of progress.
        is_best = is_better and state.step == self._saver.saved_step
        if is_best:
            state.best_bits_per_byte, state.best_step = score.bits_per_byte, state.step
            state.evals_since_best = 0
            self.parts.mark_best(state.step)
        elif not is_better:
            state.evals_since_best += 1
        return EvalFinished(
            step=state.step,
            loss=score.loss,
            perplexity=score.perplexity,
            bits_per_byte=score.bits_per_byte,
            is_best=is_best,
        )

    def _refuse_bad(self) -> None:
        """A step along a finite gradient may still leave the range of the weights."""
        if not torch.nn.utils.get_total_norm(self._parameters).isfinite():
            raise self._diverged()

    def _leave_out(self, started: float) -> None:
        """Time spent beside training does not count into tokens per second."""
        before, tokens = self._mark
        self._mark = (before + time.perf_counter() - started, tokens)
