"""What a profiler's events come to, by phase, module and operator."""

import math
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch._C._autograd import DeviceType
from torch.profiler import profile

from tissu_core.training.phases import PHASE

MODULE = "module/"
OUTSIDE = "outside of modules"
"""Head and loss, which are one; and the model, where it runs compiled."""
GRADIENTS = "gradients"
"""What of the way back belongs to no part of the way forward: adding up."""
_OTHER = "other"
_MICROSECONDS = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """As ``ProfileFinished`` has them, the largest first."""

    step_seconds: float
    phases: tuple[tuple[str, float], ...]
    modules: tuple[tuple[str, float, float], ...]
    operators: tuple[tuple[str, int, float], ...]


@dataclass(frozen=True, slots=True)
class _Event:
    """An event of the processor within a step, and where it belongs."""

    event: Any
    phase: str
    module: str

    @property
    def is_module(self) -> bool:
        """Whether it is a module's forward itself, not what is done in it."""
        return bool(self.event.name.startswith(MODULE))


def times_of(seen: profile, steps: int) -> Found:
    """Seconds of a step: each event's own, without those in it, on whichever device it took longer.

    What the processor and a GPU do at once is so counted once.
    """
    phases: dict[str, float] = defaultdict(float)
    modules: dict[str, list[float]] = defaultdict(lambda: [0.0, 0.0])
    operators: dict[str, list[float]] = defaultdict(lambda: [0, 0.0])
    for each in _placed(seen):
        event = each.event
        seconds = max(event.self_cpu_time_total, event.self_device_time_total) * _MICROSECONDS
        phases[each.phase] += seconds / steps
        if each.phase in ("forward", "backward"):
            modules[_merged(each.module)][each.phase == "backward"] += seconds / steps
        if not event.is_user_annotation:
            operators[event.name][0] += 1
            operators[event.name][1] += seconds / steps
    return Found(
        step_seconds=_step_seconds(seen, steps),
        phases=tuple(sorted(phases.items(), key=lambda row: -row[1])),
        modules=tuple(
            (name, forward, backward)
            for name, (forward, backward) in sorted(modules.items(), key=lambda row: -sum(row[1]))
        ),
        operators=tuple(
            (name, round(calls / steps), seconds)
            for name, (calls, seconds) in sorted(operators.items(), key=lambda row: -row[1][1])
        ),
    )


def memory_of(seen: profile, device: torch.device, steps: int, held: int) -> Found:
    """Bytes: the peak of each phase, and what each module keeps on its way and needs at most.

    ``held`` is what was there before; only what the device's own allocator gives out is seen.
    """
    memory = _Memory(held)
    changes = iter([*_changes(seen, device), (math.inf, 0)])
    when, change = next(changes)
    for each in _placed(seen):
        while when < each.event.time_range.start:
            memory.take(when, change)
            when, change = next(changes)
        memory.enter(each)
    while when < math.inf:
        memory.take(when, change)
        when, change = next(changes)
    memory.leave_until(math.inf)
    rows = [(name, kept / steps, memory.most[name]) for name, kept in memory.kept.items()]
    return Found(
        step_seconds=_step_seconds(seen, steps),
        phases=tuple(sorted(memory.peaks.items(), key=lambda row: -row[1])),
        modules=tuple(sorted(rows, key=lambda row: (-row[1], -row[2], row[0]))),
        operators=(),
    )


class _Memory:
    """Follows how much is taken, and by whom, through the events of some steps."""

    def __init__(self, held: int) -> None:
        self._total = held
        self._inside: list[tuple[_Event, int]] = []
        """The events that have begun and not ended, with what was taken when they began."""
        self.peaks: dict[str, float] = defaultdict(float)
        self.kept: dict[str, float] = defaultdict(float)
        self.most: dict[str, float] = defaultdict(float)

    def enter(self, event: _Event) -> None:
        """An event begins."""
        self.leave_until(event.event.time_range.start)
        self._inside.append((event, self._total))

    def leave_until(self, when: float) -> None:
        """Some have ended; what a module's forward has not given back it keeps."""
        still = []
        for each, before in self._inside:
            if each.event.time_range.end >= when:
                still.append((each, before))
            elif each.is_module and each.phase == "forward":
                self.kept[_merged(each.module)] += max(0, self._total - before)
        self._inside = still

    def take(self, when: float, change: int) -> None:
        """Bytes are taken or given back."""
        self.leave_until(when)
        self._total += change
        if self._inside:
            phase = self._inside[-1][0].phase
            self.peaks[phase] = max(self.peaks[phase], self._total)
        for each, before in self._inside:
            if each.is_module:
                name = _merged(each.module)
                self.most[name] = max(self.most[name], self._total - before)


def _placed(seen: profile) -> Iterator[_Event]:
    """The processor's events within steps, as they begin, with phase and module."""
    events = _events(seen)
    placed: dict[int, _Event] = {}
    of_sequence: dict[int, str] = {}
    for event in events:
        above = placed.get(id(event.cpu_parent)) if event.cpu_parent is not None else None
        phase, module = (above.phase, above.module) if above else ("", "")
        is_backward = event.fwd_thread > 0 and event.sequence_nr >= 0
        if event.name.startswith(PHASE):
            name = event.name.removeprefix(PHASE)
            phase = _OTHER if name == "step" else name
            module = OUTSIDE if phase == "forward" else GRADIENTS
        elif event.name.startswith(MODULE):
            module = event.name.removeprefix(MODULE)
        elif is_backward:  # with a GPU in a thread of its own, under no phase
            phase = "backward"
            module = of_sequence.get(event.sequence_nr, GRADIENTS)
        elif event.sequence_nr >= 0 and not event.is_user_annotation:
            # The last that has the number is the one whose way back will have it.
            of_sequence[event.sequence_nr] = module
        if phase:
            placed[id(event)] = _Event(event, phase, module)
            yield placed[id(event)]


def _events(seen: profile) -> list[Any]:
    events: Sequence[Any] = seen.events() or ()  # type: ignore[no-untyped-call]
    found = [event for event in events if event.device_type == DeviceType.CPU]
    return sorted(found, key=lambda e: (e.time_range.start, -e.time_range.end))


def _changes(seen: profile, device: torch.device) -> Sequence[tuple[float, int]]:
    """When, in microseconds as events have them, how many bytes were taken or given back."""
    assert seen.profiler is not None
    results: Any = seen.profiler.kineto_results
    kind = getattr(DeviceType, device.type.upper())
    return sorted(
        ((event.start_ns() - results.trace_start_ns()) / 1000, event.nbytes())
        for event in results.events()
        if event.name() == "[memory]" and event.device_type() == kind
    )


def _step_seconds(seen: profile, steps: int) -> float:
    spans = [e.time_range.elapsed_us() for e in _events(seen) if e.name == f"{PHASE}step"]
    return float(sum(spans)) * _MICROSECONDS / steps


def _merged(module: str) -> str:
    """The name that like modules of all layers share: ``layers.*.mlp``."""
    return re.sub(r"\.\d+(?=\.|$)", ".*", module.removeprefix("model."))
