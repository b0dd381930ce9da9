"""The verb doctor for several processes: can they talk, and what would mend it. Needs no torch."""

import json
import os
import queue
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from tissu_core.events.measures import CheckFinished
from tissu_core.runs.home import home

Device = Literal["cpu", "cuda"]
_STAGES = ("start", "connect", "all-reduce", "peer copy", "disk write")
_LITTLE_SHARED = 10**9
"""Bytes; Docker gives 64 MB if not told otherwise."""
_PROBE = (sys.executable, "-m", "tissu_core.parallel.probe")


def examine_gpus(number: int) -> Iterator[CheckFinished]:
    """Try out some GPUs together, or say how many there are."""
    import torch

    found = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    if len(found) < number:
        there = f"there are {len(found)}" if len(found) > 1 else "there is one"
        there = f"{there}: {', '.join(found)}" if found else "there is none"
        value = f"{number} GPUs are asked for, and {there}"
        hint = f"tissu doctor --procs {number}   (processes that share the processor)"
        yield CheckFinished(name="gpus", status="problem", value=value, hint=hint)
        return
    yield CheckFinished(name="gpus", status="ok", value=", ".join(found[:number]))
    yield from examine_ranks(number, "cuda")


def examine_ranks(
    number: int,
    device: Device = "cpu",
    *,
    command: Sequence[str] = _PROBE,
    start_seconds: float = 120.0,
    stage_seconds: float = 30.0,
) -> Iterator[CheckFinished]:
    """Start some processes, and let them add up, copy and write; the first that fails ends it.

    ``command`` is what is started with what ``parallel/probe.py`` reads behind it.
    """
    yield from _shared_memory(device)
    port, taken = _port()
    mended = _Mending(number, device)
    if taken:
        yield _problem("connect", f"port {port}, which MASTER_PORT names, is taken", mended.port())
        return
    folder = next(path for path in (home(), *home().parents) if path.exists())
    with _Group(number, [str(port), device, str(folder), *_STAGES], command) as group:
        for stage in _STAGES:
            began = time.monotonic()
            found = group.wait_for(stage, start_seconds if stage == "start" else stage_seconds)
            if isinstance(found, _Failure):
                yield _problem(stage, found.text, mended.of(stage, found))
                return
            detail = max(found, key=lambda record: record["seconds"])["detail"]
            if stage in ("start", "connect"):
                over = f" over {detail}" if detail else ""
                value = f"{number} processes{over} in {time.monotonic() - began:.1f} s"
            else:
                value = f"{detail}, by the slowest of {number}"
            yield CheckFinished(name=stage, status="ok", value=value)


@dataclass(frozen=True, slots=True)
class _Failure:
    text: str
    error: str = ""
    """What the process said; "" where it hangs or was killed."""


class _Group:
    """Some processes, ended together."""

    def __init__(self, number: int, arguments: Sequence[str], command: Sequence[str]) -> None:
        environment = {
            "OMP_NUM_THREADS": "1",
            "TORCH_CPP_LOG_LEVEL": "ERROR",
            **os.environ,
            "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        }
        self._lines: queue.SimpleQueue[tuple[int, bytes | None]] = queue.SimpleQueue()
        self._said: list[dict[str, dict[str, Any]]] = [{} for _ in range(number)]
        self._ended: set[int] = set()
        self._last_words = [""] * number
        self._processes = [
            subprocess.Popen(
                [*command, str(rank), str(number), *arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                env=environment,
            )
            for rank in range(number)
        ]
        for rank in range(number):
            threading.Thread(target=self._read, args=(rank,), daemon=True).start()

    def __enter__(self) -> "_Group":
        return self

    def __exit__(self, *error: object) -> None:
        for process in self._processes:
            process.kill()
        for process in self._processes:
            process.wait()

    def _read(self, rank: int) -> None:
        output = self._processes[rank].stdout
        assert output is not None
        with output:
            for line in output:
                self._lines.put((rank, line))
        self._lines.put((rank, None))

    def wait_for(self, stage: str, seconds: float) -> list[dict[str, Any]] | _Failure:
        """What each said when it had done it; or what became of the first that did not."""
        deadline = time.monotonic() + seconds
        while True:
            said = {rank: of[stage] for rank, of in enumerate(self._said) if stage in of}
            for rank, record in said.items():
                if "error" in record:
                    return _Failure(f"rank {rank}: {record['error']}", record["error"])
            waiting = [rank for rank in range(len(self._said)) if rank not in said]
            if not waiting:
                return [*said.values()]
            for rank in self._ended.intersection(waiting):
                return _Failure(f"rank {rank} {self._end_of(rank)}")
            try:
                self._take(*self._lines.get(timeout=max(0.0, deadline - time.monotonic())))
            except queue.Empty:
                who = ", ".join(map(str, waiting))
                ranks = "rank" if len(waiting) == 1 else "ranks"
                return _Failure(f"{ranks} {who} of {len(self._said)} hung for {seconds:g} s")

    def _take(self, rank: int, line: bytes | None) -> None:
        """Some are ahead of others: what they say is kept until its stage is looked at."""
        record = _record(line)
        if line is None:
            self._ended.add(rank)
        elif "stage" in record:
            self._said[rank][record["stage"]] = record
        elif line.strip():
            self._last_words[rank] = ": " + line.decode("utf-8", "replace").strip()[:300]

    def _end_of(self, rank: int) -> str:
        code = self._processes[rank].wait()
        if code < 0:
            return f"was killed by {signal.Signals(-code).name}"
        return f"ended with {code}{self._last_words[rank]}"


class _Mending:
    """Names the command that mends a failure, of those that were not tried yet."""

    def __init__(
        self, number: int, device: Device, environment: Mapping[str, str] = os.environ
    ) -> None:
        option = "--gpus" if device == "cuda" else "--procs"
        self._again = f"tissu doctor {option} {number}"
        self._device, self._environment = device, environment

    def port(self) -> str:
        """Another port."""
        return f"MASTER_PORT={_free_port()} {self._again}"

    def of(self, stage: str, failure: _Failure) -> str:
        """What may mend a stage."""
        error = failure.error.lower()
        if "address already in use" in error or "eaddrinuse" in error:
            return self.port()
        if "shm" in error or "shared memory" in error:
            return _MORE_SHARED
        if "out of memory" in error:
            return "nvidia-smi   (another program may hold the memory)"
        if stage == "start":
            return "pip install --force-reinstall torch"
        if stage == "disk write":
            return f"TISSU_HOME=/another/folder {self._again}"
        names = _SETTINGS[self._device, stage == "connect"]
        untried = [name for name in names if name.partition("=")[0] not in self._environment]
        return f"{(untried or names[-1:])[0]} {self._again}"


_SETTINGS: dict[tuple[Device, bool], tuple[str, ...]] = {
    ("cpu", True): ("GLOO_SOCKET_IFNAME=lo", "TORCH_DISTRIBUTED_DEBUG=DETAIL"),
    ("cpu", False): ("GLOO_SOCKET_IFNAME=lo", "TORCH_DISTRIBUTED_DEBUG=DETAIL"),
    ("cuda", True): ("NCCL_SOCKET_IFNAME=lo", "NCCL_IB_DISABLE=1", "NCCL_DEBUG=INFO"),
    ("cuda", False): ("NCCL_P2P_DISABLE=1", "NCCL_SHM_DISABLE=1", "NCCL_DEBUG=INFO"),
}
"""By device and whether they did not even meet: the likeliest first; the last says more."""
_MORE_SHARED = "docker run --shm-size=8g ...   (or: mount -o remount,size=8g /dev/shm)"


def _shared_memory(device: Device) -> Iterator[CheckFinished]:
    """What processes exchange through, where there is such a place."""
    place = Path("/dev/shm")
    if not place.is_dir():
        return
    total = shutil.disk_usage(place).total
    value = f"{total / 1e9:.1f} GB in {place}"
    if total >= _LITTLE_SHARED:
        yield CheckFinished(name="shared mem", status="ok", value=value)
    else:
        status: Literal["note", "problem"] = "problem" if device == "cuda" else "note"
        yield CheckFinished(name="shared mem", status=status, value=value, hint=_MORE_SHARED)


def _port() -> tuple[int, bool]:
    """The port where the processes meet, and whether somebody else has it."""
    given = os.environ.get("MASTER_PORT", "")
    if not given.isdigit():
        return _free_port(), False
    with socket.socket() as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind(("127.0.0.1", int(given)))
        except (OSError, OverflowError):
            return int(given), True
    return int(given), False


def _free_port() -> int:
    with socket.socket() as trial:
        trial.bind(("127.0.0.1", 0))
        return int(trial.getsockname()[1])


def _problem(name: str, value: str, hint: str) -> CheckFinished:
    return CheckFinished(name=name, status="problem", value=value, hint=hint)


def _record(line: bytes | None) -> dict[str, Any]:
    try:
        record = json.loads(line or b"")
    except ValueError:
        return {}
    return record if isinstance(record, dict) else {}
