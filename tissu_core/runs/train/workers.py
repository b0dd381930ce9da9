"""The parent's side of many workers: it starts them, hears the main one, and tells who failed."""

import json
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import tissu_core
from tissu_core.config.load import to_toml
from tissu_core.config.runs import TrainRun
from tissu_core.errors import ResourceError, TissuError
from tissu_core.events.training import RunFinished, TrainEvent, from_record
from tissu_core.runs.wire import read_error

_WORKER = (sys.executable, "-m", "tissu_core.runs.train.worker")
_LAST_LINES = 3
_START_SECONDS = 300.0
_STOP_SECONDS = 60.0
"""So long may they say nothing until the first has begun, and once they were told to stop: loading
and saving a large model take some."""
_PATIENCE_SECONDS = 40.0
"""The launcher gives workers 30 s to end by themselves once one has failed."""


def run_workers(run: TrainRun, verb: dict[str, Any], stop: threading.Event) -> Iterator[TrainEvent]:
    """What the workers of a run say, until all have ended. ``verb`` is what ``worker`` reads.

    Raises:
        TissuError: What one of them raised.
        ResourceError: If one ended in another way; names it, with its last lines.
    """
    check_devices(run.machine.gpus)
    with tempfile.TemporaryDirectory(prefix="tissu-workers-") as folder:
        asked = {**verb, "run": to_toml(run), "started": tissu_core.STARTED}
        path = Path(folder) / "asked.json"
        path.write_text(json.dumps(asked), "utf-8")
        group = _Group(run.machine.num_workers, path)
        try:
            yield from group.events(stop)
        finally:
            group.end()


def check_devices(num_gpus: int) -> None:
    """Refuse more GPUs than there are.

    Raises:
        ResourceError: Says what was found.
    """
    if num_gpus == 1:
        return
    import torch

    found = torch.cuda.device_count()
    if found < num_gpus:
        has = "no GPU" if not found else "one GPU" if found == 1 else f"{found} GPUs"
        raise ResourceError(
            f"--gpus is {num_gpus}, and this machine has {has}",
            hint=f"--gpus {found}" if found > 1 else f"--procs {num_gpus} --device cpu",
        )


class _Group:
    def __init__(self, number: int, asked: Path) -> None:
        self._folder, self._number = asked.parent, number
        launcher = [sys.executable, "-m", "tissu_core.parallel.launch", str(number)]
        with (self._folder / "launcher.log").open("wb") as log:
            self._process = subprocess.Popen(
                [*launcher, str(self._folder / "logs"), *_WORKER, str(asked)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,  # Ctrl-C reaches them as a word, not as a signal
                env=_environment(),
            )
        self._lines: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.put(line)
        self._lines.put(None)

    def events(self, stop: threading.Event) -> Iterator[TrainEvent]:
        """Until all have ended."""
        error: TissuError | None = None
        failed: list[dict[str, Any]] = []
        is_told = False
        patience = _START_SECONDS
        silent_since: float | None = time.monotonic()
        while True:
            if stop.is_set() and not is_told:
                is_told, patience, silent_since = True, _STOP_SECONDS, time.monotonic()
                self._tell_stop()
            try:
                line = self._lines.get(timeout=0.2)
            except queue.Empty:
                if silent_since is not None and time.monotonic() - silent_since > patience:
                    raise self._unheard(patience) from None
                continue
            silent_since = time.monotonic() if is_told else None  # a step may take its time
            if line is None:
                break
            record = _record(line)
            event = from_record(record.get("event", {}))
            if event is not None:
                yield event
                if isinstance(event, RunFinished):
                    return  # all is saved: a process that dies on its way out takes nothing with it
            elif "error" in record:
                error = error or read_error(record["error"])
            failed = record.get("failed", failed)
        code = self._process.wait()
        if error is not None:
            raise error
        if code or failed:
            raise self._who_failed(failed)

    def _tell_stop(self) -> None:
        assert self._process.stdin is not None
        with suppress(OSError):
            self._process.stdin.write(b"stop\n")
            self._process.stdin.flush()

    def _who_failed(self, failed: list[dict[str, Any]]) -> ResourceError:
        # One that was killed comes before those that missed it.
        first = min(
            failed,
            key=lambda each: each["code"] == -signal.SIGTERM or each["code"] > 0,
            default=None,
        )
        if first is None:
            lines, who = _last_lines(self._folder / "launcher.log"), "the launcher of the processes"
            how = f"ended with {self._process.returncode}"
        else:
            who, code = f"rank {first['rank']} of {self._number}", int(first["code"])
            how = f"was killed by {_signal_name(-code)}" if code < 0 else f"ended with {code}"
            logs = sorted(self._folder.glob(f"logs/**/{first['rank']}/stderr.log"))
            lines = _last_lines(logs[-1]) if logs else []
        return ResourceError(
            f"{who} {how}, and all were ended" + (f": {' | '.join(lines)}" if lines else ""),
            safe="every checkpoint",
            hint="tissu train --resume last",
        )

    def _unheard(self, seconds: float) -> ResourceError:
        self._kill()
        return ResourceError(
            f"the {self._number} processes said nothing for {seconds:g} s, and were ended",
            safe="every checkpoint",
            hint=f"tissu doctor --procs {self._number}",
        )

    def end(self) -> None:
        """End whatever still runs."""
        assert self._process.stdin and self._process.stdout
        with suppress(OSError):
            self._process.stdin.close()
        try:
            self._process.wait(_PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            self._kill()
        self._reader.join(_PATIENCE_SECONDS)
        self._process.stdout.close()

    def _kill(self) -> None:
        """Through the launcher, which ends the workers; they are in sessions of their own."""
        self._process.terminate()
        try:
            self._process.wait(_PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def _environment() -> dict[str, str]:
    """This process's, and that the launcher need not warn of threads, which tissu sets."""
    path = os.pathsep.join(filter(None, sys.path))
    return {
        "OMP_NUM_THREADS": "1",
        "TORCH_CPP_LOG_LEVEL": "ERROR",
        **os.environ,
        "PYTHONPATH": path,
    }


def _record(line: bytes) -> dict[str, Any]:
    try:
        record = json.loads(line)
    except ValueError:
        return {}
    return record if isinstance(record, dict) else {}


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _last_lines(path: Path) -> list[str]:
    try:
        text = path.read_text("utf-8", errors="replace")
    except OSError:
        return []
    return [line for line in text.splitlines() if line.strip()][-_LAST_LINES:]
