"""A run in a process of its own, which outlives the terminal that it was started from.

The same command line is started again, marked. It tells what happens as JSON until the run has a
directory; from then on it writes into the run's ``train.log``, and whoever started it may leave.
"""

import importlib
import json
import os
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

from tissu_cli.render.console import print_line, say
from tissu_cli.render.status import StatusLine, narrated
from tissu_cli.settings import EXIT_OK, can_draw, is_person_at_stdin
from tissu_core.errors import ConfigError
from tissu_core.events.training import RunResumed, RunStarted
from tissu_core.runs.follow import parse_line
from tissu_core.runs.home import runs_directory
from tissu_core.runs.run_directory import RUN_FILE

LEFT_ALONE = "left alone"
"""How a run is shown that nobody looks at."""
_MARK = "_TISSU_LEFT_ALONE"
_BEGIN = """import json, sys
sys.path[:] = json.loads(sys.argv.pop(1))
from tissu_cli.main import main
main()
"""
_LOOK_SECONDS = 0.05
_END_SECONDS = 10.0
_SHOWN_LINES = 20
_LOG = "train.log"


def is_left_alone() -> bool:
    """Whether this process was started to train on its own."""
    return bool(os.environ.get(_MARK))


def train_alone(arguments: Sequence[str], *, is_drawn: bool) -> int:
    """Let a command line train in a process of its own; returns the exit code.

    With ``is_drawn`` the screen is shown until the person leaves it or the run ends.

    Raises:
        ConfigError: If there is no terminal to draw on.
    """
    if is_drawn and not (can_draw() and is_person_at_stdin()):
        raise ConfigError(
            "--view dashboard needs a terminal", field="view", hint="--view log, or --detach"
        )
    # Before there is a process to end: Python leaves an import that Ctrl-C met with SIGINT's code.
    importlib.import_module("tissu_cli.render.train.farewell")
    with tempfile.TemporaryFile() as errors:
        process = _start(arguments, errors)
        try:
            directory = _until_it_writes(process)
        except KeyboardInterrupt:
            process.terminate()
            process.wait()
            raise
        if directory is None:
            code = process.wait()
            errors.seek(0)
            return _tell_end(code, errors.read())
    name = directory.name if directory.parent == runs_directory() else str(directory)
    if process.poll():
        return _tell_end(process.returncode, (directory / _LOG).read_bytes())
    if not is_drawn:
        print_line(name)
        say(f"it trains on its own, pid {process.pid}; its words are in {directory / _LOG}")
        say(f"watch it:  tissu watch {shlex.quote(name)}", "bold")
        return EXIT_OK
    return _draw(directory, process)


def _start(arguments: Sequence[str], errors: IO[bytes]) -> "subprocess.Popen[bytes]":
    options: dict[str, Any] = {"start_new_session": True}
    if sys.platform == "win32":
        flags = subprocess.DETACHED_PROCESS | subprocess.CREATE_NEW_PROCESS_GROUP
        options = {"creationflags": flags}
    return subprocess.Popen(
        [sys.executable, "-c", _BEGIN, json.dumps(sys.path), *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=errors,
        env={**os.environ, _MARK: "1"},
        **options,
    )


def _until_it_writes(process: "subprocess.Popen[bytes]") -> Path | None:
    """Show how the text is prepared; the run's directory, None if it ended before."""
    directory: Path | None = None
    assert process.stdout is not None
    events = (parsed[1] for line in process.stdout if (parsed := parse_line(line)))
    with StatusLine() as status:
        for event in narrated(events, status):
            if isinstance(event, RunStarted | RunResumed):
                directory = Path(event.directory)
    process.stdout.close()
    while directory and not (directory / RUN_FILE).exists() and process.poll() is None:
        time.sleep(_LOOK_SECONDS)
    return directory


def _tell_end(code: int, said: bytes) -> int:
    """Say what a run said last; returns the exit code."""
    for line in said.decode("utf-8", "replace").splitlines()[-_SHOWN_LINES:]:
        say(line)
    return code if code >= 0 else 128 - code


def _draw(directory: Path, process: "subprocess.Popen[bytes]") -> int:
    from tissu_cli.commands.watch import watch_on_screen  # noqa: PLC0415

    watched = watch_on_screen([directory])
    try:
        process.wait(_END_SECONDS if watched.is_over else 0)
    except subprocess.TimeoutExpired:
        return watched.exit_code
    if process.returncode:
        return _tell_end(process.returncode, (directory / _LOG).read_bytes())
    return watched.exit_code
