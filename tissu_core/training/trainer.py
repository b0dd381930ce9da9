"""The training loop. There is one; new methods bring an objective or a transform."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from tissu_core.checkpoint.training_state import TrainState
from tissu_core.errors import DivergedError
from tissu_core.events import (
    CheckpointSaved,
    EvalFinished,
    Noticed,
    SampleGenerated,
    StageAdvanced,
    StepFinished,
)
from tissu_core.models.decoder import Decoder
from tissu_core.models.score import Score
from tissu_core.runtime.memory import used_bytes, utilization
from tissu_core.runtime.precision import autocast
from tissu_core.runtime.seeds import derive_seed
from tissu_core.training.objectives.next_token import LossOutput
from tissu_core.training.optim import Optimizer
from tissu_core.training.saving import PatientSaver

LoopEvent = (
    StepFinished | StageAdvanced | EvalFinished | CheckpointSaved | SampleGenerated | Noticed
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
    clip_norm: float
    log_every: int
    eval_every: int
    save_every: int
    patience: int
    seed: int
    precision: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopParts:
    """What the loop calls, as plain functions."""

    objective: Callable[[Decoder, Tensor], LossOutput]
    batch: Callable[[int], Tensor]
    """Step to windows (B, T+1) on the CPU."""
    schedule: Callable[[int, float], float]
    """(step, progress) to a factor on the learning rates."""
    evaluate: Callable[[], Iterator[StageAdvanced | Score]]
    """Yields progress, and last the score."""
    save: Callable[[TrainState], CheckpointSaved]
    """Raises a ResourceError while the disk does not take it."""
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
        # Kept on the device and read when something is reported or saved: no wait at each step.
        self._is_bad = torch.zeros((), dtype=torch.bool, device=self._device)
        self._loss_sum = torch.tensor(
            state.unreported_loss,
            dtype=torch.float64,
            device="cpu" if self._is_mps() else self._device,
        )
        self._grad_norm = torch.zeros((), device=self._device)
        self._factor = 0.0
        self._mark = (time.perf_counter(), state.tokens)

    def run(self, should_stop: Callable[[], bool]) -> Iterator[LoopEvent]:
        """Train until the budget, the patience or the person ends it; saved at the end."""
        last_scored = -1
        while not self._is_finished(should_stop):
            self._step()
            step = self.state.step
            is_eval_due = step % self.settings.eval_every == 0
            if is_eval_due or step % self.settings.log_every == 0:
                yield self._report()
            if is_eval_due:
                yield from self._save_and_evaluate()
                last_scored = step
            elif step % self.settings.save_every == 0:
                yield from self._save()
        if self.end_reason == "stopped":
            # Unreported, so that the next report is that of a run which never stopped.
            yield from self._save(is_last=True)
            return
        if self.state.unreported_steps:
            yield self._report()
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

    def _step(self) -> None:
        state, settings = self.state, self.settings
        self.model.train()
        torch.manual_seed(derive_seed(settings.seed, "step", state.step))
        self._factor = self.parts.schedule(state.step, self._progress())
        windows = self.parts.batch(state.step)
        num_targets = windows[:, 1:].numel()
        step_loss = torch.zeros_like(self._loss_sum)
        for micro in torch.split(windows, settings.micro_batch):
            with autocast(self._device, settings.precision):
                output = self.parts.objective(self.model, micro.to(self._device))
            (output.loss_sum / num_targets).backward()  # type: ignore[no-untyped-call]
            step_loss += output.loss_sum.detach().to(step_loss.device) / num_targets
        norm_limit = settings.clip_norm or float("inf")
        self._grad_norm = torch.nn.utils.clip_grad_norm_(self._parameters, norm_limit, foreach=True)
        self._is_bad |= ~(self._grad_norm.isfinite() & step_loss.isfinite().to(self._device))
        self.optimizer.step(self._factor)
        self._loss_sum += step_loss
        state.step += 1
        state.tokens += num_targets
        state.unreported_steps += 1

    def _report(self) -> StepFinished:
        state = self.state
        self._refuse_bad()
        state.loss = float(self._loss_sum) / state.unreported_steps
        self._loss_sum.zero_()
        state.unreported_loss, state.unreported_steps = 0.0, 0
        now = time.perf_counter()
        before, tokens = self._mark
        self._mark = (now, state.tokens)
        state.elapsed_seconds = self.parts.clock()
        return StepFinished(
            step=state.step,
            progress=min(1.0, self._progress()),
            loss=state.loss,
            learning_rate=self.optimizer.peak_learning_rate * self._factor,
            grad_norm=float(self._grad_norm),
            tokens=state.tokens,
            tokens_per_second=(state.tokens - tokens) / max(1e-9, now - before),
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
        is_saved = state.step == self._saver.saved_step
        is_best = is_saved and score.bits_per_byte < state.best_bits_per_byte
        if is_best:
            state.best_bits_per_byte, state.best_step = score.bits_per_byte, state.step
            state.evals_since_best = 0
            self.parts.mark_best(state.step)
        else:
            state.evals_since_best += 1
        return EvalFinished(
            step=state.step,
            loss=score.loss,
            perplexity=score.perplexity,
            bits_per_byte=score.bits_per_byte,
            is_best=is_best,
        )

    def _refuse_bad(self) -> None:
        if bool(self._is_bad):
            raise DivergedError(
                f"the loss stopped being a number before step {self.state.step}",
                safe="the last checkpoint, which was saved while it was one",
                hint="tissu train with a lower --lr, or --clip-norm 1",
            )

    def _leave_out(self, started: float) -> None:
        """Time spent beside training does not count into tokens per second."""
        before, tokens = self._mark
        self._mark = (before + time.perf_counter() - started, tokens)

    def _is_mps(self) -> bool:
        return self._device.type == "mps"  # which has no fp64
