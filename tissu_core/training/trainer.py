"""The training loop. There is one; new methods bring an objective or a transform."""

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial

import torch

from tissu_core.checkpoint.training_state import TrainState
from tissu_core.errors import DivergedError
from tissu_core.events.shared import Noticed
from tissu_core.events.training import (
    CheckpointSaved,
    EvalFinished,
    ProfileFinished,
    Request,
    RunResumed,
    StepFinished,
)
from tissu_core.models.decoder import Decoder
from tissu_core.models.score import Score
from tissu_core.parallel.layouts import Layout
from tissu_core.runtime.memory import used_bytes, utilization
from tissu_core.runtime.precision import device_of_fp64
from tissu_core.runtime.seeds import derive_seed
from tissu_core.training.budget import Budget
from tissu_core.training.containment import Containment, diverged, is_diverged, rolled_back
from tissu_core.training.gradients import Gradients
from tissu_core.training.loop_parts import EndReason, LoopEvent, LoopParts, LoopSettings
from tissu_core.training.optim import Optimizer
from tissu_core.training.phases import phase
from tissu_core.training.profiling import StepProfiler
from tissu_core.training.requests import Requests
from tissu_core.training.saving import PatientSaver


class Trainer:
    """Trains a model in place; ``run`` yields what happens."""

    def __init__(
        self,
        model: Decoder,
        optimizer: Optimizer,
        settings: LoopSettings,
        parts: LoopParts,
        state: TrainState,
        layout: Layout | None = None,
    ) -> None:
        self._layout = layout or Layout(model)
        self.model, self.optimizer, self.settings = model, optimizer, settings
        self.parts, self.state = parts, state
        self.end_reason: EndReason = "finished"
        self.profiler: StepProfiler | None = None
        self._saver = PatientSaver(parts.save)
        self._budget = Budget(settings.steps, settings.seconds, parts.clock, self._layout.ranks)
        self._device = next(model.parameters()).device
        self._gradients = Gradients(
            model,
            parts.objective,
            min(state.micro_batch or settings.micro_batch, settings.micro_batch),
            settings.precision,
            self._layout,
        )
        self._factor = 0.0
        self._requests = Requests(parts.requests, self._do, self._leave_out, self._layout.ranks)
        self._begin_counting()

    def _begin_counting(self) -> None:
        """Counts from the state on, kept on the device and read when something is reported."""
        state = self.state
        self._containment = Containment(state, self._device, self.settings.precision)
        self._loss_sum = torch.tensor(
            state.unreported_loss,
            dtype=torch.float64,
            device=device_of_fp64(self._device),
        )
        self._grad_norm = torch.zeros((), device=self._device)
        self._mark = (time.perf_counter(), state.tokens)
        self._waited = 0.0

    def run(self, should_stop: Callable[[], bool]) -> Iterator[LoopEvent]:
        """Train until the budget, the patience or the person ends it; saved at the end."""
        last_scored, look = -1, partial(self._budget.look, should_stop)
        if self.settings.is_scored_first and self.state.step == 0 and not look():
            yield from self._save_and_evaluate()
        while not self._is_finished(look):
            yield from self._watched()
            if self._budget.is_timed:
                self._budget.look()
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
            yield from self._requests.answer(self.state.step, look)
        self._containment.read_into(self.state)
        if self.end_reason == "stopped now":
            return
        if self.end_reason == "stopped":
            # Unreported, so that the next report is that of a run which never stopped.
            yield from self._save(is_last=True)
            return
        yield from self._report()
        if not self.state.step == last_scored == self._saver.saved_step:
            yield from self._save_and_evaluate(is_last=True)

    def _is_finished(self, look: Callable[[], bool]) -> bool:
        settings, state = self.settings, self.state
        if look() or self._requests.is_ended:
            self.end_reason = "stopped" if self._requests.is_saved else "stopped now"
        elif settings.patience and state.evals_since_best >= settings.patience:
            self.end_reason = "patience"
        else:
            return self._progress() >= 1 and state.step > 0
        return True

    def _progress(self) -> float:
        return self._budget.progress(self.state.step)

    def _watched(self) -> Iterator[Noticed | ProfileFinished]:
        if self.profiler is None:
            yield from self.step()
            return
        started = time.perf_counter()
        self.profiler.before_step()
        self._leave_out(started)
        with phase("step"):
            yield from self.step()
        started = time.perf_counter()
        yield from self.profiler.after_step(self.state.step)
        self._leave_out(started)

    def step(self) -> Iterator[Noticed]:
        """One step, of which nothing is reported or saved."""
        state, settings = self.state, self.settings
        self.model.train()
        self._factor = self.parts.schedule(state.step, self._progress())
        number = state.step + state.batch_offset
        with phase("data"):
            began = time.perf_counter()
            windows = self.parts.batch(number)
            self._waited += time.perf_counter() - began
        loss = yield from self._gradients.accumulate(
            windows,
            derive_seed(settings.seed, "step", number),
            self._containment.loss_scale,
        )
        if self._gradients.micro_batch < min(settings.micro_batch, len(self._layout.rows(windows))):
            state.micro_batch = self._gradients.micro_batch  # memory did not suffice for more
        with phase("optimizer"):
            norm = self._gradients.clip(settings.clip_value, settings.clip_norm)
            is_bad = self._containment.judge(loss, norm)
            self.optimizer.step(self._factor, is_bad)
            self._layout.after_step()
        self.parts.after_step(state.step, is_bad)
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
        yield from self._containment.say_into(state)
        if not is_diverged(state):
            return
        error, step = self._diverged(), state.step
        resumed = None if state.batch_offset else self.parts.restore(state)
        if resumed is None:
            raise error
        state.skips_in_row, state.batch_offset = 0, step - state.step
        self._begin_counting()
        yield replace(resumed, batch_offset=state.batch_offset)
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
        state.unreported_loss, state.unreported_steps = 0.0, 0
        state.unreported_skips = state.unreported_overflows = 0
        state.elapsed_seconds = self.parts.clock()
        norm, (then, tokens), waited = float(self._grad_norm), self._mark, self._waited
        self._begin_counting()
        seconds, of_token = max(1e-9, self._mark[0] - then), self.settings.mfu_of_token
        speed = (state.tokens - tokens) / seconds
        yield StepFinished(
            step=state.step,
            progress=min(1.0, self._progress()),
            loss=state.loss,
            learning_rate=self._learning_rate(),
            grad_norm=norm,
            tokens=state.tokens,
            tokens_per_second=speed,
            elapsed_seconds=state.elapsed_seconds,
            memory_bytes=used_bytes(self._device),
            device_utilization=utilization(self._device),
            mfu=None if of_token is None else speed * of_token,
            data_wait=min(1.0, waited / seconds),
        )

    def _save(self, *, is_last: bool = False) -> Iterator[CheckpointSaved | Noticed]:
        started = time.perf_counter()
        self._refuse_bad()
        self.state.unreported_loss = float(self._loss_sum)
        self.state.elapsed_seconds = self.parts.clock()
        yield from self._saver.save(self.state, is_last=is_last)
        self._leave_out(started)

    def _do(self, asked: Request) -> Iterator[LoopEvent]:
        """What the schedule does, at a step of a person's choice; no later step is another."""
        yield from self._containment.say_into(self.state)
        if asked == "save":
            yield from self._save()
        elif asked == "evaluate":
            yield from self._save_and_evaluate(is_asked=True)
        elif asked == "sample":
            started = time.perf_counter()
            self.model.eval()
            yield self.parts.sample(self.state.step)
            self._leave_out(started)

    def _save_and_evaluate(
        self, *, is_last: bool = False, is_asked: bool = False
    ) -> Iterator[LoopEvent]:
        """Save first: whatever scoring does, the steps before it are safe."""
        began = time.perf_counter()
        yield from self._save(is_last=is_last)
        started = time.perf_counter()
        self.model.eval()
        score = Score()
        for found in self.parts.evaluate():
            if isinstance(found, Score):
                score = found
            else:
                yield found
        yield self._judge(score, is_asked=is_asked)
        yield from self.parts.suites(self.state.step)
        yield self.parts.sample(self.state.step)
        self._leave_out(started)
        self._budget.set_aside(time.perf_counter() - began)

    def _judge(self, score: Score, *, is_asked: bool) -> EvalFinished:
        state = self.state
        is_better = not is_asked and score.bits_per_byte < state.best_bits_per_byte
        # One that the disk did not take is not there to come back to, and no lack of progress.
        is_best = is_better and state.step == self._saver.saved_step
        if is_best:
            state.best_bits_per_byte, state.best_step = score.bits_per_byte, state.step
            state.evals_since_best = 0
            self.parts.mark_best(state.step)
        elif not (is_better or is_asked):
            state.evals_since_best += 1
        return EvalFinished(
            step=state.step,
            loss=score.loss,
            perplexity=score.perplexity,
            bits_per_byte=score.bits_per_byte,
            is_best=is_best,
            is_asked=is_asked,
        )

    def _refuse_bad(self) -> None:
        """A step along a finite gradient may still leave the range of the weights."""
        weights = [parameter.detach() for _, parameter in self._layout.parameters()]
        if not self._layout.norm(weights).isfinite():
            raise self._diverged()

    def _leave_out(self, started: float) -> None:
        """Time spent beside training does not count into tokens per second."""
        before, tokens = self._mark
        self._mark = (before + time.perf_counter() - started, tokens)
