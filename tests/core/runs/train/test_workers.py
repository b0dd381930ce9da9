"""Workers that fail in ways no training does."""

import os
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from tissu_core.config.data import DataConfig
from tissu_core.config.machine import MachineConfig
from tissu_core.config.runs import TrainRun
from tissu_core.errors import ResourceError, TissuError
from tissu_core.runs.train import workers

pytestmark = pytest.mark.skipif(os.name != "posix", reason="sessions and signals")
TWO = TrainRun(machine=MachineConfig(procs=2, device="cpu"))


def let_workers_run(monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    monkeypatch.setattr(workers, "_WORKER", (sys.executable, "-c", code))


def test_workers_that_hang_at_the_start_are_ended(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    note = f"import os, time; open({str(tmp_path)!r} + '/' + str(os.getpid()), 'w'); "
    let_workers_run(monkeypatch, note + "time.sleep(600)")
    monkeypatch.setattr(workers, "_START_SECONDS", 8.0)
    with pytest.raises(ResourceError, match="2 processes said nothing for 8 s") as error:
        list(workers.run_workers(TWO, {"verb": "train"}, threading.Event()))
    assert error.value.hint == "tissu doctor --procs 2"
    pids = [int(path.name) for path in tmp_path.iterdir()]
    assert len(pids) == 2
    until = time.monotonic() + 30
    while any(Path(f"/proc/{pid}/cmdline").exists() for pid in pids):
        assert time.monotonic() < until
        time.sleep(0.05)


_ONE_HANGS = """import os, sys, time
if os.environ["RANK"] == "1":
    time.sleep(600)
from tissu_core.runs.train import many
from tissu_core.runs.train import worker
many._QUIET_SECONDS = 0.5
sys.argv = ["worker", sys.argv[-1]]
worker.main()
"""


def test_a_worker_that_waits_for_one_that_hangs_has_not_begun(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    let_workers_run(monkeypatch, _ONE_HANGS)
    monkeypatch.setattr(workers, "_START_SECONDS", 8.0)
    asked = {"verb": "train", "profiling": {}}
    run = replace(TWO, data=DataConfig(corpus=("nowhere",)))
    with pytest.raises(ResourceError, match="2 processes said nothing for 8 s"):
        list(workers.run_workers(run, asked, threading.Event()))


def test_a_bug_in_a_worker_is_told_with_its_last_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    code = "import os; rank = os.environ['RANK']; assert rank == '0', 'a bug of rank ' + rank"
    let_workers_run(monkeypatch, code)
    with pytest.raises(ResourceError, match=r"rank 1 of 2 ended with 1.*a bug of rank 1"):
        list(workers.run_workers(TWO, {"verb": "train"}, threading.Event()))


_TOLD = """import json, os, signal, sys, time
event = {"event": "RunFinished", "name": "r", "directory": "r", "model_path": "r/model", "step": 9}
event |= {"stopped_early": False, "reason": "finished", "elapsed_seconds": 1.0, "loss": 2.0}
if os.environ["RANK"] == "0":
    print(json.dumps({"event": event | {"bits_per_byte": 1.0}}), flush=True)
"""


@pytest.mark.parametrize(
    "end",
    [
        "time.sleep(1); os.kill(os.getpid(), signal.SIGABRT)",
        "time.sleep(0.5); sys.exit(3)",
        "time.sleep(600 if os.environ['RANK'] == '1' else 0)",
    ],
    ids=["aborts", "exits with 3", "hangs"],
)
def test_a_process_that_dies_when_all_is_saved_fails_no_run(
    monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    let_workers_run(monkeypatch, _TOLD + end)
    monkeypatch.setattr(workers, "_PATIENCE_SECONDS", 4.0)
    events = list(workers.run_workers(TWO, {"verb": "train"}, threading.Event()))
    assert [type(event).__name__ for event in events] == ["RunFinished"]


_AT_THE_END = """import atexit, os, sys
sys.argv = ["worker", sys.argv[-1]]
from tissu_core.errors import InputError
from tissu_core.runs.train import worker

def events(asked, stop):
    {does}
    yield

worker._events = events
atexit.register(os.abort)
worker.main()
"""


@pytest.mark.parametrize(
    ("does", "code"),
    [("return", None), ("raise InputError('no text', hint='x')", "no text"), ("1 / 0", "Zero")],
)
def test_a_worker_leaves_without_taking_anything_down(
    monkeypatch: pytest.MonkeyPatch, does: str, code: str | None
) -> None:
    """At Python's own end a thread of torch's may abort the process; here it would for sure."""
    let_workers_run(monkeypatch, _AT_THE_END.format(does=does))
    if code is None:
        assert list(workers.run_workers(TWO, {"verb": "train"}, threading.Event())) == []
        return
    with pytest.raises(TissuError) as caught:
        list(workers.run_workers(TWO, {"verb": "train"}, threading.Event()))
    assert code in caught.value.message
    assert "SIGABRT" not in caught.value.message


def test_lines_that_are_no_events_are_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    let_workers_run(monkeypatch, "print('hello'); print('[1]'); print('{\"event\": {}}')")
    assert list(workers.run_workers(TWO, {"verb": "train"}, threading.Event())) == []
