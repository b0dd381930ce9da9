"""What a profiler's events come to, by phase, module and operator."""

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
OUTSIDE = "loss"
"""What is computed of no module: the head and the loss, which are one."""
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
    changes = _changes(seen, device)
    peaks: dict[str, float] = defaultdict(float)
    kept: dict[str, float] = defaultdict(float)
    rises: dict[str, float] = defaultdict(float)
    total, at = float(held), 0
    inside: list[tuple[_Event, float]] = []
    for each in [*_placed(seen), None]:
        begin = each.event.time_range.start if each else float("inf")
        while at < len(changes) and changes[at][0] < begin:
            when, change = changes[at]
            at += 1
            inside = [pair for pair in inside if pair[0].event.time_range.end >= when]
            total += change
            if not inside:
                continue
            innermost = inside[-1][0]
            peaks[innermost.phase] = max(peaks[innermost.phase], total)
            if innermost.phase == "forward":
                kept[_merged(innermost.module)] += change / steps
            for owner, before in inside:
                if owner.event.name.startswith(MODULE):
                    name = _merged(owner.module)
                    rises[name] = max(rises[name], total - before)
        if each is not None:
            inside = [pair for pair in inside if pair[0].event.time_range.end >= begin]
            inside.append((each, total))
    names = {*kept, *rises}
    rows = [(name, max(0.0, kept[name]), max(rises[name], kept[name], 0.0)) for name in names]
    return Found(
        step_seconds=_step_seconds(seen, steps),
        phases=tuple(sorted(peaks.items(), key=lambda row: -row[1])),
        modules=tuple(sorted(rows, key=lambda row: (-row[1], -row[2], row[0]))),
        operators=(),
    )


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
