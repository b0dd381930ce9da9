"""Workers that fail in ways no training does."""

import os
import sys
import threading
import time
from pathlib import Path

import pytest

from tissu_core.config.machine import MachineConfig
from tissu_core.config.runs import TrainRun
from tissu_core.errors import ResourceError
from tissu_core.runs import workers

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


def test_a_bug_in_a_worker_is_told_with_its_last_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    code = "import os; rank = os.environ['RANK']; assert rank == '0', 'a bug of rank ' + rank"
    let_workers_run(monkeypatch, code)
    with pytest.raises(ResourceError, match=r"rank 1 of 2 ended with 1.*a bug of rank 1"):
        list(workers.run_workers(TWO, {"verb": "train"}, threading.Event()))


def test_lines_that_are_no_events_are_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    let_workers_run(monkeypatch, "print('hello'); print('[1]'); print('{\"event\": {}}')")
    assert list(workers.run_workers(TWO, {"verb": "train"}, threading.Event())) == []
