"""The last lines of a training command: where the model is, and what to type next."""

import shlex
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from tissu_cli.render import numbers
from tissu_cli.render.console import say
from tissu_cli.render.train.views import plan_line
from tissu_core.events.shared import FileSkipped
from tissu_core.events.training import Planned, Probed, RunFinished
from tissu_core.runs.home import runs_directory

_NAMED = 3
_MEANT = ("hidden", "excluded folder", "not .")  # reasons that are settings of the run


def say_skipped(skipped: Sequence[FileSkipped]) -> None:
    """How many files were not read and why; names where the person did not ask for it."""
    counts = Counter(map(_kind, skipped)).most_common()
    meant = [f"{number} {reason}" for reason, number in counts if reason.startswith(_MEANT)]
    if meant:
        say(f"passed over: {', '.join(meant)}", "dim")
    for reason, number in counts:
        if not reason.startswith(_MEANT):
            names = [skip.path + _place(skip) for skip in skipped if _kind(skip) == reason][:_NAMED]
            more = f" and {number - len(names)} more" if number > len(names) else ""
            say(f"skipped {number} ({reason}): {', '.join(names)}{more}", "dim")


def _kind(skip: FileSkipped) -> str:
    """The reason without what differs from file to file."""
    return skip.reason.partition(" at byte")[0]


def _place(skip: FileSkipped) -> str:
    _, is_there, byte = skip.reason.partition(" at byte ")
    return f": byte {byte}" if is_there else ""


def say_plan(plan: Planned, probe: Probed) -> None:
    """A dry run's answer."""
    say(f"would train: {plan_line(plan)}")
    for reason in plan.reasons:
        say(f"  because: {reason}", "dim")
    step = f", {probe.step_seconds:.3g} s a step" if probe.step_seconds is not None else ""
    step += f" (MFU {probe.mfu:.0%})" if probe.mfu is not None else ""
    say(
        f"would take: {_hours(probe.hours)}{step}, {numbers.size(probe.peak_bytes)} of the "
        f"{numbers.size(probe.free_bytes)} of memory, {numbers.size(probe.disk_bytes)} of the "
        f"{numbers.size(probe.free_disk_bytes)} of disk: "
        + ("it fits" if probe.is_fitting else "it does not fit"),
        "bold" if probe.is_fitting else "yellow",
    )
    rows = [("cheaper", "parameters", "time", "memory", "disk")]
    rows += [
        (
            cheaper.change,
            numbers.count(cheaper.num_parameters),
            _hours(cheaper.hours),
            numbers.size(cheaper.peak_bytes),
            numbers.size(cheaper.disk_bytes),
        )
        for cheaper in probe.alternatives
    ]
    for first, *others in rows:
        say(f"  {first:<32}" + "".join(f"{other:>11}" for other in others), "dim")


def _hours(hours: float | None) -> str:
    return "unknown" if hours is None else numbers.duration(hours * 3600)


def _saved(run: RunFinished) -> str:
    if run.reason == "stopped":
        return f"saved in {run.model_path}"
    is_there = run.model_path != run.directory
    return f"the last checkpoint is {run.model_path}" if is_there else "nothing was saved yet"


def find_by_name(run: RunFinished) -> bool:
    """Whether the run is at home, so that its name is enough."""
    return Path(run.directory).parent == runs_directory()


def say_finished(run: RunFinished) -> None:
    """The end of a run."""
    name = shlex.quote(run.name if find_by_name(run) else run.directory)
    took = numbers.duration(run.elapsed_seconds)
    if run.stopped_early:
        say(f"stopped after step {run.step:,} ({took}); {_saved(run)}")
        say(f"go on with:  tissu train --resume {name}", "bold")
        return
    why = " (no better evaluation for a while)" if run.reason == "patience" else ""
    score = f"{run.bits_per_byte:.4f} bits per byte" if run.bits_per_byte else "not measured"
    mfu = f", MFU {run.mfu:.0%}" if run.mfu is not None else ""
    say(f"trained {run.step:,} steps in {took}{mfu}{why}: {score} on held-out text")
    say(f"the model is in {run.model_path}")
    say(f"talk to it:  tissu chat {name}      measure it:  tissu eval ppl TEXT -m {name}", "bold")
