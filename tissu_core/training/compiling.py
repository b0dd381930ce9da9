"""Compiling a model before the first step, and whether that is worth it.

Nothing of a run changes by a trial: no weight moves, and random numbers are put back.
"""

import ctypes
import threading
import time
from collections.abc import Iterator
from contextlib import suppress

import torch
from torch import Tensor

from tissu_core.errors import ResourceError
from tissu_core.events.shared import Noticed, StageAdvanced
from tissu_core.models.decoder import Stack
from tissu_core.runtime.compiler import GAIN, SECONDS, num_graph_breaks, num_graphs
from tissu_core.runtime.device import synchronize
from tissu_core.runtime.precision import autocast
from tissu_core.training.trainer import Trainer

_FASTER = 0.97
"""Compiled code whose steps take more than this share of the time is not kept: it costs memory."""
_PASSES = 3
_LONGEST_WAIT_SECONDS = 25.0


class CompileTrial:
    """Compiles a trainer's model in the shapes of its steps."""

    def __init__(self, trainer: Trainer) -> None:
        self._trainer, self._model = trainer, trainer.model
        self._stack = trainer.model.model
        self.is_compiled: bool | None = None
        self._error: Exception | None = None
        self._graphs = 0
        state, settings = trainer.state, trainer.settings
        windows = trainer.parts.batch(state.step + state.batch_offset)
        micro = min(state.micro_batch or settings.micro_batch, len(windows))
        rest = len(windows) % micro
        self._micros = [windows[:micro], *([windows[:rest]] if rest else [])]
        self._count = len(windows) / micro

    def run(self, stop: threading.Event, *, is_asked: bool) -> Iterator[StageAdvanced | Noticed]:
        """Compile and say so; ``is_compiled`` is known afterwards, unless ``stop`` came first.

        Unless it ``is_asked`` for by name, only where it is expected to pay back within the run,
        and kept only if it is faster.

        Raises:
            ResourceError: If it is asked for and fails.
        """
        eager = self._measure()
        if not is_asked and (left := self._seconds_left(eager)) * GAIN < SECONDS:
            self.is_compiled = False
            yield _info(f"not compiled: {left / 60:.1f} minutes are too few to pay back")
            return
        started = time.perf_counter()
        yield from self._compile_beside(stop)
        if stop.is_set():
            uncompile_stack(self._stack)
            return
        took = f"compiled in {time.perf_counter() - started:.0f} seconds"
        if self._error is not None:
            yield self._give_up(self._error, is_asked=is_asked)
            return
        if (breaks := num_graph_breaks()) > 0:
            yield _warning(f"the compiled model is in pieces: {breaks} graph breaks")
        share = self._measure() / eager
        self.is_compiled = is_asked or share < _FASTER
        if not self.is_compiled:
            uncompile_stack(self._stack)
        end = "" if self.is_compiled else ", so it runs as it is written"
        yield _info(f"{took}: a step takes {share:.2f} of the time{end}")

    def recompiled(self) -> Noticed | None:
        """A word, if steps have met shapes that they were not compiled for."""
        count = num_graphs() - self._graphs
        if count <= 0:
            return None
        return _warning(f"the model was compiled again {count} times")

    def _compile_beside(self, stop: threading.Event) -> Iterator[StageAdvanced]:
        """Compile in a thread, so that a signal is answered meanwhile."""
        compile_stack(self._stack)
        started = time.perf_counter()
        thread = threading.Thread(target=self._compile, name="compiling", daemon=True)
        thread.start()
        while thread.is_alive() and not stop.is_set():
            seconds = time.perf_counter() - started
            yield StageAdvanced(stage="compiling", done=int(seconds), total=0, unit="seconds")
            thread.join(0.5)
        if thread.is_alive():
            _end(thread)

    def _give_up(self, error: Exception, *, is_asked: bool) -> Noticed:
        uncompile_stack(self._stack)
        reason = " ".join(str(error).partition("\n\n")[0].split())[:200] or type(error).__name__
        if is_asked:
            raise ResourceError(
                f"compiling failed: {reason}",
                safe="every checkpoint",
                hint="the same command with --no-compile",
            ) from error
        self.is_compiled = False
        return _warning(f"not compiled, it failed: {reason}")

    def _seconds_left(self, eager: float) -> float:
        settings = self._trainer.settings
        if settings.seconds:
            return settings.seconds - self._trainer.parts.clock()
        return eager * self._count * (settings.steps - self._trainer.state.step)

    def _compile(self) -> None:
        try:
            with suppress(SystemExit):  # by which it is ended
                for micro in self._micros:
                    self._pass(micro)
                self._graphs = num_graphs()
        except Exception as error:  # noqa: BLE001  whatever it is, the run goes on as it is written
            self._error = error

    def _measure(self) -> float:
        """Seconds of a micro-batch."""
        return min(self._pass(self._micros[0]) for _ in range(_PASSES))

    def _pass(self, windows: Tensor) -> float:
        """Forward and backward, in seconds."""
        device = self._model.device
        self._model.train()
        started = time.perf_counter()
        with torch.random.fork_rng(device_type=device.type if device.type != "cpu" else "cuda"):
            with autocast(device, self._trainer.settings.precision):
                loss_sum = self._trainer.parts.objective(self._model, windows.to(device)).loss_sum
            loss_sum.backward()  # type: ignore[no-untyped-call]
        self._model.zero_grad(set_to_none=True)
        synchronize(device)
        return time.perf_counter() - started


def compile_stack(stack: Stack) -> None:
    """Let the layers run compiled from their next call on.

    As one piece: block by block, which share their code, 6 layers x 384 in bf16 on 2 busy cores
    took 47 s to compile instead of 43, and a step 0.98 of the time; 4 layers x 256 up to 1.14.
    """
    stack.tables.read(stack.norm.weight.device)  # no part of what is compiled
    stack.compile(dynamic=False)  # each shape for itself: the last micro-batch may be smaller


def uncompile_stack(stack: Stack) -> None:
    """Let them run as they are written."""
    stack._compiled_call_impl = None  # what nn.Module.compile sets, and nothing takes back


def _end(thread: threading.Thread) -> None:
    """End a thread at its next line, or leave it behind in a call of the compiler's."""
    identity = ctypes.c_ulong(thread.ident or 0)
    ctypes.pythonapi.PyThreadState_SetAsyncExc(identity, ctypes.py_object(SystemExit))
    thread.join(_LONGEST_WAIT_SECONDS)


def _info(text: str) -> Noticed:
    return Noticed(level="info", text=text)


def _warning(text: str) -> Noticed:
    return Noticed(level="warning", text=text)
