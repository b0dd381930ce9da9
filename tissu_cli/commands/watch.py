"""``tissu watch``: look at runs while they train, and ask them for something."""

import math
import shlex
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, Any, cast

import typer

from tissu_cli.flags import Json
from tissu_cli.render import numbers
from tissu_cli.render.console import data, print_json, print_line, say
from tissu_cli.settings import can_draw, is_person_at_stdin
from tissu_core.events.training import RunFinished
from tissu_core.runs.run_directory import find_run
from tissu_core.runs.watch import LogTail, presence_of
from tissu_core.sanitize import sanitize_line

if TYPE_CHECKING:
    from tissu_cli.render.train.views import LogView
    from tissu_cli.tui.watch.history import RunHistory
    from tissu_cli.tui.watch.run import Watched

_LOOK_SECONDS = 0.25

_Runs = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="RUN",
        help="Runs by name or directory; several are drawn over one another. The newest if left "
        "out.",
        show_default=False,
    ),
]
_Plain = Annotated[bool, typer.Option("--plain", help="A line for each report, and no screen.")]
_Once = Annotated[bool, typer.Option("--once", help="Say how it stands, and end.")]


def register(app: typer.Typer) -> None:
    """Add the command to the tree."""
    app.command(
        rich_help_panel="Make a model",
        help="Watch runs while they train; pause them, have them save, sample, evaluate or stop.",
    )(watch)


def watch(
    runs: _Runs = None, plain: _Plain = False, once: _Once = False, json: Json = False
) -> None:
    directories = [*dict.fromkeys(find_run(name) for name in runs or ["last"])]
    if once or json:
        _show(directories, is_json=json)
    elif plain or not (can_draw() and is_person_at_stdin()):
        _follow(directories)
    else:
        raise typer.Exit(watch_on_screen(directories).exit_code)


def watch_on_screen(directories: Sequence[Path]) -> "Watched":
    """Draw runs until the person leaves, and say what becomes of the last one looked at."""
    from tissu_cli.render.train.farewell import say_finished
    from tissu_cli.tui.watch.run import run_watch

    watched = run_watch(directories)
    if watched.end is not None:
        say_finished(watched.end)
    elif not watched.is_over:
        name = watched.directory.name
        say(f"{name} goes on:  tissu watch {shlex.quote(name)}")
    return watched


def _follow(directories: Sequence[Path]) -> None:
    """Print what is logged until all runs have ended."""
    from tissu_cli.render.train.views import LogView

    open_ends = []
    for directory in directories:
        prefix = f"{directory.name}: " if len(directories) > 1 else ""
        file = cast("IO[str]", _Prefixed(sanitize_line(prefix)))
        view = LogView(file, lines_a_run=sys.maxsize)
        open_ends.append((LogTail(directory), view))
    while open_ends:
        open_ends = [(tail, view) for tail, view in open_ends if _print_new(tail, view)]
        if open_ends and not any(tail.is_behind for tail, _ in open_ends):
            time.sleep(_LOOK_SECONDS)


def _print_new(tail: "LogTail", view: "LogView") -> bool:
    """Print what is new in a log; whether more can come."""
    presence = presence_of(tail.directory)  # first: what it still wrote is read after it is gone
    events = tail.read()
    for _, event in events or ():
        view.show(event)
        if isinstance(event, RunFinished):
            what = "stopped" if event.stopped_early else "ended"
            view.say(f"the run {what} after step {event.step:,}")
    if text := tail.unknown():
        view.say(f"warning: {text}")
    if events is None or events or tail.is_behind or presence == "trains":
        return True
    name = tail.directory.name
    view.say(f"nobody trains {name}" if presence == "rests" else f"{name} was removed")
    return False


class _Prefixed:
    """Stdout, its lines beginning with a run's name where there are several."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix

    def write(self, text: str) -> int:
        return sys.stdout.write(self._prefix + text)

    def flush(self) -> None:
        sys.stdout.flush()


def _show(directories: Sequence[Path], *, is_json: bool) -> None:
    from tissu_cli.render.tables import facts_table
    from tissu_cli.tui.watch.watched import WatchedRun

    records = []
    for directory in directories:
        run = WatchedRun(directory)
        run.look()
        while run.is_behind:
            run.look()
        records.append({**_record(directory, run.history), "unknown_lines": run.unknown_lines})
    if is_json:
        print_json({"runs": records})
        return
    for number, record in enumerate(records):
        if number:
            print_line("")
        data().print(facts_table(_rows(record)))


def _record(directory: Path, run: "RunHistory") -> dict[str, Any]:
    """How a run stands, in plain values; None is not known."""
    last, best, left = run.last, run.best, run.seconds_left()
    timed = run.planned is None or run.planned.is_timed
    return {
        "name": directory.name,
        "directory": str(directory),
        "state": run.state,
        "step": last.step if last else 0,
        "steps": None if timed or run.planned is None else run.planned.steps,
        "progress": last.progress if last else 0.0,
        "loss": _known(run.loss.last),
        "smooth_loss": _known(run.smooth.last),
        "bits_per_byte": best.bits_per_byte if best else None,
        "best_step": best.step if best else None,
        "learning_rate": _known(run.rate.last),
        "grad_norm": _known(run.norm.last),
        "tokens_per_second": _known(run.speed.last),
        "mfu": last.mfu if last else None,
        "data_wait": last.data_wait if last else None,
        "memory_bytes": last.memory_bytes if last else None,
        "device_utilization": last.device_utilization if last else None,
        "elapsed_seconds": last.elapsed_seconds if last else 0.0,
        "seconds_left": list(left) if left else None,
        "saved_step": run.saved[1].step if run.saved else None,
        "saved_seconds_ago": round(time.time() - run.saved[0], 1) if run.saved else None,
        "sample": run.samples[-1].prompt + run.samples[-1].text if run.samples else None,
    }


def _known(number: float) -> float | None:
    return None if math.isnan(number) else number


def _rows(record: dict[str, Any]) -> list[tuple[str, object]]:
    """The same for people."""
    of = f" of {record['steps']:,}" if record["steps"] else ""
    rows: list[tuple[str, object]] = [
        ("run", record["name"]),
        ("state", record["state"]),
        ("step", f"{record['step']:,}{of}, {record['progress']:.0%}"),
    ]
    if record["loss"] is not None:
        rows.append(("loss", f"{record['loss']:.4f}, smooth {record['smooth_loss']:.4f}"))
    if record["bits_per_byte"] is not None:
        rows.append(
            ("best", f"{record['bits_per_byte']:.4f} bits per byte at {record['best_step']:,}")
        )
    if record["tokens_per_second"] is not None:
        mfu = f", MFU {record['mfu']:.0%}" if record["mfu"] is not None else ""
        rows.append(("speed", f"{numbers.count(record['tokens_per_second'])} tokens/s{mfu}"))
    if record["seconds_left"]:
        low, high = (numbers.duration(seconds) for seconds in record["seconds_left"])
        rows.append(("left", low if low == high else f"{low} to {high}"))
    if record["saved_step"] is not None:
        age = numbers.ago(record["saved_seconds_ago"])
        rows.append(("saved", f"{age} at step {record['saved_step']:,}"))
    if record["unknown_lines"]:
        text = f"{record['unknown_lines']} lines that this tissu does not know were passed over"
        rows.append(("log", text))
    return rows
