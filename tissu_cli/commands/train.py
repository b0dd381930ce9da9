"""``tissu train``: watch a model learn."""

import os
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from tissu_cli.commands.detached import LEFT_ALONE, is_left_alone, train_alone
from tissu_cli.commands.signals import Signals
from tissu_cli.flags import Assignments, ConfigFile, Given, resolve_settings, with_settings
from tissu_cli.render.console import narration, say
from tissu_cli.settings import discard, is_live, is_person_at_stdin
from tissu_core.config.demo import DEMO_PRESET, demo_corpus
from tissu_core.config.profiling import ProfileConfig
from tissu_core.config.runs import TrainRun
from tissu_core.errors import ConfigError, TissuError
from tissu_core.events.shared import FileSkipped, Noticed
from tissu_core.events.training import (
    Planned,
    Probed,
    ProfileFinished,
    RunFinished,
    TrainEvent,
)
from tissu_core.sanitize import sanitize_line

VIEWS = ("auto", "panel", "dashboard", "log", "json")

Corpus = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="CORPUS", help="Files and folders of text, .jsonl or .parquet.", show_default=False
    ),
]
Demo = Annotated[
    bool, typer.Option("--demo", help="Train on Python's own standard library, 2 minutes.")
]
View = Annotated[str, typer.Option(metavar="|".join(VIEWS), help="How to show the run.")]
Fallback = Annotated[
    bool, typer.Option("--fallback", help="With --resume: pass over a damaged checkpoint.")
]
Override = Annotated[
    bool, typer.Option("--override", help="With --resume: go on with other settings, or longer.")
]
Detach = Annotated[
    bool,
    typer.Option("--detach", help="Train on without this terminal; tissu watch looks at it."),
]
AcceptDataChange = Annotated[
    bool, typer.Option("--accept-data-change", help="With --resume: go on with changed text.")
]


def register(app: typer.Typer) -> None:
    """Add the command to the tree."""
    app.command(rich_help_panel="Make a model", help="Train a model on files and folders of text.")(
        train
    )


@with_settings(("", TrainRun), ("", ProfileConfig))
def train(
    ctx: typer.Context,
    corpus: Corpus = None,
    demo: Demo = False,
    resume: Annotated[
        str | None,
        typer.Option(metavar="RUN|last", help="Go on with a run where it stopped."),
    ] = None,
    fallback: Fallback = False,
    override: Override = False,
    accept_data_change: AcceptDataChange = False,
    view: View = "auto",
    detach: Detach = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Take two steps, say what all would take, and stop.")
    ] = False,
    config: ConfigFile = None,
    assignments: Assignments = None,
    *,
    given: Given,
) -> None:
    _refuse_combinations(view, corpus, demo=demo, is_dry=dry_run and detach)
    if is_left_alone():
        view = LEFT_ALONE
    elif (detach or view == "dashboard") and not dry_run:
        is_drawn = view == "dashboard" and not detach
        raise typer.Exit(train_alone(ctx.find_root().obj, is_drawn=is_drawn))
    if demo or corpus:
        given = {**given, **(demo_corpus() if demo else {"data.corpus": corpus})}
    settle = partial(resolve_settings, TrainRun, given, config_file=config, assignments=assignments)
    profiling = resolve_settings(ProfileConfig, given)
    if profiling.profile:
        _silence_profiler()
    with Signals() as signals:
        if resume is not None:
            _refuse_other_start(is_other=bool(corpus or demo or dry_run))
            from tissu_core.runs.train.resume import resume as resume_run

            events = resume_run(
                resume,
                signals.stop,
                settle=lambda stored: settle(stored=stored),
                is_override=override,
                is_data_change_accepted=accept_data_change,
                accepts_older=lambda error: fallback or _asks_for_older(error),
                profiling=profiling,
            )
        else:
            _refuse_without_resume(fallback=fallback, override=override, change=accept_data_change)
            base = DEMO_PRESET if demo else {}
            from tissu_core.runs.train.train import train as train_run

            events = train_run(
                settle(base=base), signals.stop, is_dry_run=dry_run, profiling=profiling
            )
        Watching(view, signals).through(events)
        if signals.exit_code:
            raise typer.Exit(signals.exit_code)


def _refuse_combinations(view: str, corpus: list[str] | None, *, demo: bool, is_dry: bool) -> None:
    if view not in VIEWS:
        raise ConfigError(f"--view is {view!r}", field="view", hint=f"one of {', '.join(VIEWS)}")
    if is_dry:
        raise ConfigError(
            "--dry-run trains nothing that --detach could leave alone",
            field="detach",
            hint="keep one of them",
        )
    if demo and corpus:
        raise ConfigError(
            "--demo has a corpus of its own", field="corpus", hint=f"tissu train {corpus[0]}"
        )


def _silence_profiler() -> None:
    """Torch's profiler writes to stderr by itself, unless it is told before torch is there."""
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")


def _refuse_without_resume(*, fallback: bool, override: bool, change: bool) -> None:
    flags = {"--fallback": fallback, "--override": override, "--accept-data-change": change}
    for flag in (flag for flag, is_given in flags.items() if is_given):
        raise ConfigError(
            f"{flag} goes with --resume", field=flag, hint=f"tissu train --resume last {flag}"
        )


def _refuse_other_start(*, is_other: bool) -> None:
    if is_other:
        raise ConfigError(
            "--resume goes on with a run, and takes no corpus, --demo or --dry-run",
            field="resume",
            hint="tissu train --resume RUN, or start a new run",
        )


def _asks_for_older(error: TissuError) -> bool:
    """Ask whoever sits there whether to go on from an older checkpoint."""
    if not (is_live() and is_person_at_stdin()):
        return False
    sys.stderr.write(f"{sanitize_line(error.message)}\n")
    return typer.confirm("Go on from the good one?", err=True)


class Watching:
    """Draws a run to its end, and outlives the terminal it began on."""

    def __init__(self, view: str, signals: Signals) -> None:
        from tissu_cli.render.train.views import JsonView, LogView, PanelView, TrainView

        self._signals = signals
        self._directory: Path | None = None
        self._is_detached = False
        self._skipped: list[FileSkipped] = []
        self._planned: Planned | None = None
        self._profile: ProfileFinished | None = None
        self._is_left_alone = view == LEFT_ALONE
        self._is_json = view in ("json", LEFT_ALONE)
        self._stream = sys.stdout if self._is_json else sys.stderr
        usual = "panel" if is_live() else "log"
        name = usual if view in ("auto", "dashboard") else view
        self._view: TrainView
        if name == "panel":
            self._view = PanelView()
        else:
            self._view = JsonView() if self._is_json else LogView(sys.stderr)

    def through(self, events: Iterator[TrainEvent]) -> None:
        """Draw every event."""
        last: TrainEvent | None = None
        try:
            for event in events:
                last = event
                self._remember(event)
                self._draw(event)
        except TissuError as error:
            if isinstance(last, Probed) and not self._is_json:
                self._say_farewell(last)
            if self._is_detached:  # nobody sees stderr; the run's log keeps the reason
                self._view.show(Noticed(level="warning", text=error.message))
            raise
        finally:
            self._view.close()
        if not self._is_json and not self._is_detached:
            self._say_farewell(last)

    def _remember(self, event: TrainEvent) -> None:
        if isinstance(event, FileSkipped):
            self._skipped.append(event)
        if isinstance(event, Planned):
            self._planned = event
        if isinstance(event, ProfileFinished):
            self._profile = event
        directory = getattr(event, "directory", None)
        if directory is not None:
            self._directory = Path(directory)

    def _draw(self, event: TrainEvent) -> None:
        if self._signals.is_hung_up and not self._is_detached and self._stream.isatty():
            self._detach()
        if self._is_detached:
            self._move_to_log()
        try:
            self._view.show(event)
        except OSError:  # the terminal went away, or the reader of --view json did
            self._detach()
        if self._is_left_alone and self._directory is not None and not self._is_detached:
            self._detach()  # whoever started it knows the run now

    def _detach(self) -> None:
        """Draw no more: a closed terminal ends no run."""
        from tissu_cli.render.train.views import Silence

        self._is_detached = True
        discard(self._stream)
        self._view = Silence()

    def _move_to_log(self) -> None:
        """Go on in a file of the run's, once there is a run."""
        from tissu_cli.render.train.views import LogView, Silence

        if isinstance(self._view, Silence) and self._directory is not None:
            path = self._directory / "train.log"
            file = path.open("a", encoding="utf-8", errors="backslashreplace")
            if self._is_left_alone:  # so that an error has a place too
                os.dup2(file.fileno(), 2)
            self._view = LogView(file)

    def _say_farewell(self, last: TrainEvent | None) -> None:
        from tissu_cli.render.train.farewell import say_finished, say_plan, say_skipped

        say_skipped(self._skipped)
        if self._profile is not None:
            from tissu_cli.render.train.profile import profile_report

            narration().print(profile_report(self._profile))
            say(f"the trace is {self._profile.trace}; ui.perfetto.dev opens it")
        if isinstance(last, RunFinished):
            say_finished(last)
        elif isinstance(last, Probed) and self._planned is not None:
            say_plan(self._planned, last)
