"""Where some steps spend their time or memory: by phase, by module, by operator.

Nothing of the numbers changes: modules are only told when their forward begins and ends, and a part
of the way back belongs to the module in which the same part of the way forward was.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from torch import Tensor, nn
from torch.profiler import ProfilerActivity, profile, record_function, schedule
from torch.utils.hooks import RemovableHandle

from tissu_core.events.shared import Noticed
from tissu_core.events.training import ProfileFinished
from tissu_core.models.decoder import Decoder
from tissu_core.runtime.device import synchronize
from tissu_core.training.profile_tables import MODULE, memory_of, times_of

TRACE_FILE = "trace.json"
_WARM_UP = 3
"""Steps that are passed over, of which the profiler watches the last without writing it down."""
_ROWS = 40


class StepProfiler:
    """Watches some of a trainer's steps and says what it saw."""

    def __init__(
        self,
        model: Decoder,
        directory: Path,
        *,
        is_memory: bool,
        steps: int,
        held: Callable[[], Iterable[Tensor]],
    ) -> None:
        """The trace goes to ``directory``; ``held`` are the tensors there between two steps."""
        self._model, self._directory, self._steps = model, directory, steps
        self._is_memory, self._held = is_memory, held
        self._taken = self._held_bytes = 0
        self._modules = _ModuleRanges()
        self._profile: profile | None = None

    @property
    def is_done(self) -> bool:
        """Whether all of its steps were watched."""
        return self._taken >= _WARM_UP + self._steps

    def before_step(self) -> None:
        """A step begins."""
        if self._taken == _WARM_UP - 1:
            self._begin()

    def after_step(self, step: int) -> Iterator[ProfileFinished | Noticed]:
        """It has ended; after the last that is watched, what was seen."""
        self._taken += 1
        if self._profile is None:
            return
        synchronize(self._model.device)
        if self.is_done:
            yield from self._end(self._profile, step)
            return
        self._profile.step()
        if self._taken == _WARM_UP:
            self._held_bytes = sum(tensor.nbytes for tensor in self._held())

    def close(self) -> Iterator[Noticed]:
        """The run has ended; a word if that was too early."""
        if self.is_done:
            return
        if self._profile is not None:
            self._profile.stop()
            self._modules.forget()
        yield Noticed(
            level="warning",
            text=f"no profile: it takes {_WARM_UP + self._steps} steps, {_WARM_UP} of them to warm "
            f"up, and there were {self._taken}",
        )

    def _begin(self) -> None:
        activities = [ProfilerActivity.CPU]
        if self._model.device.type == "cuda":
            activities.append(ProfilerActivity.CUDA)
        self._modules.watch(self._model)
        self._profile = profile(
            activities=activities,
            profile_memory=self._is_memory,
            schedule=schedule(wait=0, warmup=1, active=self._steps, repeat=1),
            acc_events=True,
        )
        self._profile.start()

    def _end(self, seen: profile, step: int) -> Iterator[ProfileFinished | Noticed]:
        seen.stop()
        self._modules.forget()
        self._profile = None
        trace = self._directory / TRACE_FILE
        try:
            trace.parent.mkdir(parents=True, exist_ok=True)
            seen.export_chrome_trace(str(trace))
        except OSError as error:
            yield Noticed(level="warning", text=f"{trace} is not written: {error.strerror}")
        found = (
            memory_of(seen, self._model.device, self._steps, self._held_bytes)
            if self._is_memory
            else times_of(seen, self._steps)
        )
        yield ProfileFinished(
            kind="memory" if self._is_memory else "cpu",
            step=step,
            steps=self._steps,
            step_seconds=found.step_seconds,
            trace=str(trace),
            held_bytes=self._held_bytes,
            phases=found.phases,
            modules=found.modules[:_ROWS],
            operators=found.operators[:_ROWS],
        )


class _ModuleRanges:
    """Tells the profiler when which module's forward begins and ends."""

    def __init__(self) -> None:
        self._handles: list[RemovableHandle] = []
        self._open: list[AbstractContextManager[object]] = []

    def watch(self, model: nn.Module) -> None:
        """Every module but those that run compiled, whose code would be another with this."""
        compiled = tuple(
            f"{name}." if name else ""
            for name, module in model.named_modules()
            if module._compiled_call_impl is not None
        )
        for name, module in model.named_modules():
            if name and not f"{name}.".startswith(compiled or ("\0",)):
                self._handles += [
                    module.register_forward_pre_hook(self._enter(name)),
                    module.register_forward_hook(self._leave, always_call=True),
                ]

    def forget(self) -> None:
        """Leave the modules as they were."""
        for handle in self._handles:
            handle.remove()
        self._handles.clear()

    def _enter(self, name: str) -> Callable[..., None]:
        def enter(module: nn.Module, given: Any) -> None:
            opened: AbstractContextManager[object] = record_function(MODULE + name)
            opened.__enter__()
            self._open.append(opened)

        return enter

    def _leave(self, module: nn.Module, given: Any, output: Any) -> None:
        if self._open:
            self._open.pop().__exit__(None, None, None)
