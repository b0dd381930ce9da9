"""Processes that talk, hang, fail and die, and what is said of each."""

import socket
import sys
from pathlib import Path

import pytest

from tissu_core.events.measures import CheckFinished
from tissu_core.runs.doctor_ranks import examine_gpus, examine_ranks

# What parallel/probe.py says, and where told so, what it might not.
_STAND_IN = """
import json, os, signal, sys, time
behaviour, at, who = sys.argv[1:4]
rank, stages = int(sys.argv[4]), sys.argv[9:]
for stage in stages:
    if stage == at and rank == int(who):
        match behaviour:
            case "hang": time.sleep(600)
            case "die": os.kill(os.getpid(), signal.SIGKILL)
            case "crash": sys.exit("no such library")
            case error:
                print(json.dumps({"stage": stage, "error": error}), flush=True)
                sys.exit(1)
    print("a word of NCCL's own")
    print(json.dumps({"stage": stage, "seconds": 0.1, "detail": "done"}), flush=True)
"""


def examine(
    behaviour: str, at: str, *, device: str = "cpu", stage_seconds: float = 30.0
) -> list[CheckFinished]:
    command = [sys.executable, "-c", _STAND_IN, behaviour, at, "1"]
    found = examine_ranks(
        2,
        device,  # type: ignore[arg-type]
        command=command,
        stage_seconds=stage_seconds,
    )
    return [check for check in found if check.name != "shared mem"]


def test_processes_add_up_copy_and_write(own_home: Path) -> None:
    found = [check for check in examine_ranks(2) if check.name != "shared mem"]
    assert [check.name for check in found] == [
        "start",
        "connect",
        "all-reduce",
        "peer copy",
        "disk write",
    ]
    assert {check.status for check in found} == {"ok"}, found
    assert "2 processes over gloo" in found[1].value
    assert all("GB/s" in check.value for check in found[2:])
    assert not list(own_home.parent.glob(".tissu-probe*"))


@pytest.mark.parametrize(
    ("stage", "device", "mended"),
    [
        ("connect", "cpu", "GLOO_SOCKET_IFNAME=lo tissu doctor --procs 2"),
        ("all-reduce", "cuda", "NCCL_P2P_DISABLE=1 tissu doctor --gpus 2"),
        ("connect", "cuda", "NCCL_SOCKET_IFNAME=lo tissu doctor --gpus 2"),
    ],
)
def test_what_hangs_is_named(stage: str, device: str, mended: str) -> None:
    *done, last = examine("hang", stage, device=device, stage_seconds=0.3)
    assert {check.status for check in done} == {"ok"}
    assert (last.name, last.status) == (stage, "problem")
    assert last.value == "rank 1 of 2 hung for 0.3 s"
    assert last.hint == mended


def test_what_was_tried_is_not_named_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NCCL_P2P_DISABLE", "1")
    last = examine("the sum is wrong in 3 of 9 numbers", "all-reduce", device="cuda")[-1]
    assert last.value == "rank 1: the sum is wrong in 3 of 9 numbers"
    assert last.hint.startswith("NCCL_SHM_DISABLE=1 ")


@pytest.mark.parametrize(
    ("error", "stage", "mended"),
    [
        ("The server socket has failed: Address already in use", "connect", "MASTER_PORT="),
        ("unable to open shared memory object", "all-reduce", "docker run --shm-size=8g"),
        ("CUDA out of memory", "all-reduce", "nvidia-smi"),
        ("[Errno 28] No space left on device", "disk write", "TISSU_HOME="),
    ],
)
def test_an_error_has_its_own_remedy(error: str, stage: str, mended: str) -> None:
    last = examine(error, stage)[-1]
    assert (last.name, last.status) == (stage, "problem")
    assert error in last.value and last.hint.startswith(mended)


def test_a_process_that_dies_is_named() -> None:
    killed = examine("die", "peer copy")[-1]
    assert (killed.name, killed.value) == ("peer copy", "rank 1 was killed by SIGKILL")
    crashed = examine("crash", "start")[-1]
    assert crashed.value == "rank 1 ended with 1: no such library"
    assert crashed.hint == "pip install --force-reinstall torch"


def test_a_taken_port_is_said_before_anything_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        monkeypatch.setenv("MASTER_PORT", str(port))
        (found,) = [check for check in examine_ranks(2) if check.name != "shared mem"]
    assert found.status == "problem" and f"port {port}" in found.value
    assert found.hint.startswith("MASTER_PORT=") and str(port) not in found.hint


@pytest.mark.parametrize(
    ("names", "there"), [([], "there is none"), (["H100"], "there is one: H100")]
)
def test_too_few_gpus(monkeypatch: pytest.MonkeyPatch, names: list[str], there: str) -> None:
    monkeypatch.setattr("torch.cuda.device_count", lambda: len(names))
    monkeypatch.setattr("torch.cuda.get_device_name", lambda index: names[index])
    (found,) = examine_gpus(2)
    assert found.value == f"2 GPUs are asked for, and {there}"
    assert (found.status, found.hint.split("   ")[0]) == ("problem", "tissu doctor --procs 2")
