"""``python -m tissu_core.runs.train.worker FILE``: one of the processes that train together.

The main one prints its events, one JSON object a line, and stops when it reads "stop" or the end of
its input. One that fails prints why; what is no error of tissu's goes to stderr.
"""

import json
import os
import signal
import sys
import threading
import tomllib
import traceback
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import tissu_core
from tissu_core.config.load import build_config
from tissu_core.config.profiling import ProfileConfig
from tissu_core.config.runs import TrainRun
from tissu_core.errors import TissuError
from tissu_core.events.records import to_record
from tissu_core.events.training import RanksAwaited, TrainEvent
from tissu_core.parallel.place import find_place
from tissu_core.runs.wire import error_record, to_line


def main() -> None:
    """Train as the file says; exits with 1 on an error."""
    code = _train()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError):
            stream.flush()
    # The group of processes is gone and all is saved, but threads of torch, of gloo and the one
    # that listens still run. Python 3.11 ends those that want its lock by pthread_exit, which in a
    # C++ frame is SIGABRT ("terminate called without an active exception"): a whole run was told
    # to have failed. So nothing is taken down that the system takes down.
    os._exit(code)


def _train() -> int:
    """All of the work; the exit code."""
    asked = json.loads(Path(sys.argv[1]).read_text("utf-8"))
    tissu_core.STARTED = asked["started"]
    place, stop = find_place(), threading.Event()
    signal.signal(signal.SIGTERM, lambda number, frame: stop.set())
    if place is None or place.rank == 0:
        threading.Thread(target=_listen, args=(stop,), daemon=True).start()
    try:
        for event in _events(asked, stop):
            # Whoever started this ends processes that say nothing for long, and that is no start.
            if not isinstance(event, RanksAwaited):
                _say({"event": to_record(event)})
    except TissuError as error:
        _say({"error": error_record(error)})
        return 1
    except Exception:  # noqa: BLE001  the outer edge: a bug is told, and ends like the rest
        traceback.print_exc()
        return 1
    return 0


def _events(asked: dict[str, Any], stop: threading.Event) -> Iterator[TrainEvent]:
    run = build_config(TrainRun, tomllib.loads(asked["run"]))
    profiling = ProfileConfig(**asked["profiling"])
    if asked["verb"] == "train":
        from tissu_core.runs.train.train import train

        return train(run, stop, profiling=profiling)
    from tissu_core.runs.train.resume import resume

    return resume(
        asked["given"],
        stop,
        settle=lambda stored: run,
        is_override=asked["is_override"],
        is_data_change_accepted=asked["is_data_change_accepted"],
        accepts_older=lambda error: bool(asked["is_fallback"]),
        profiling=profiling,
    )


def _listen(stop: threading.Event) -> None:
    for line in sys.stdin:
        if line.strip() == "stop":
            break
    stop.set()  # at the end of the input, too: whoever started this is gone


def _say(record: dict[str, Any]) -> None:
    sys.stdout.buffer.write(to_line(record))
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
