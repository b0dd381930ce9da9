"""``python -m tissu_core.parallel.probe RANK RANKS PORT DEVICE FOLDER STAGE...``: one of some.

Each does the same few things together with the others and says so, one line of JSON for each that
is done. Whoever started it waits, and ends it where it hangs.
"""

import json
import os
import secrets
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import torch
import torch.distributed as dist
from torch import Tensor

_NUMBERS = 1 << 22
_ROUNDS = 5
_BLOCK_BYTES, _BLOCKS = 1 << 20, 32
_PATIENCE = timedelta(minutes=10)
"""Longer than that of whoever started this, who names what hangs."""


def main() -> None:
    """Go through the stages; exits with 1 where one fails."""
    rank, size, port = map(int, sys.argv[1:4])
    probe = Probe(rank, size, port, sys.argv[4], Path(sys.argv[5]))
    for stage in sys.argv[6:]:
        started = time.perf_counter()
        try:
            detail = probe.do(stage)
        except Exception as error:  # noqa: BLE001  whatever it is, it is what was looked for
            reason = " ".join(str(error).split())[:300] or type(error).__name__
            _say(stage=stage, error=reason)
            os._exit(1)  # a process group that failed may never be taken down
        _say(stage=stage, seconds=time.perf_counter() - started, detail=detail)


class Probe:
    """What one process tries out."""

    def __init__(self, rank: int, size: int, port: int, device: str, folder: Path) -> None:
        self._rank, self._size, self._port = rank, size, port
        self._device, self._folder = device, folder

    def do(self, stage: str) -> str:
        """Do one thing, and how it went."""
        match stage:
            case "connect":
                return self._connect()
            case "all-reduce":
                return self._timed(self._add_up)
            case "peer copy":
                return self._timed(self._pass_on) + self._copy_directly()
            case "disk write":
                return self._write()
            case _:
                return ""

    def _connect(self) -> str:
        if self._device == "cuda":
            torch.cuda.set_device(self._rank)
        backend = "nccl" if self._device == "cuda" else "gloo"
        dist.init_process_group(
            backend,
            init_method=f"tcp://127.0.0.1:{self._port}",
            rank=self._rank,
            world_size=self._size,
            timeout=_PATIENCE,
        )
        dist.barrier()
        return backend

    def _add_up(self) -> None:
        numbers = self._filled(self._rank + 1)
        dist.all_reduce(numbers)
        _require(numbers, self._size * (self._size + 1) // 2, "the sum")

    def _pass_on(self) -> None:
        """To the next, from the one before."""
        sent, got = self._filled(self._rank), self._filled(-1)
        before = (self._rank - 1) % self._size
        works = dist.batch_isend_irecv(
            [
                dist.P2POp(dist.isend, sent, (self._rank + 1) % self._size),
                dist.P2POp(dist.irecv, got, before),
            ]
        )
        for work in works:
            work.wait()
        _require(got, before, "what came from the one before")

    def _copy_directly(self) -> str:
        """Between two GPUs, without a process in between."""
        if self._device != "cuda":
            return ""
        peer = (self._rank + 1) % self._size
        _require(self._filled(self._rank).to(f"cuda:{peer}"), self._rank, f"the copy on GPU {peer}")
        is_direct = torch.cuda.can_device_access_peer(self._rank, peer)
        return ", directly" if is_direct else ", through the processor's memory"

    def _filled(self, number: int) -> Tensor:
        return torch.full((_NUMBERS,), float(number), device=self._device)

    def _timed(self, deed: Callable[[], None]) -> str:
        """The fastest of some rounds."""
        best = float("inf")
        for _ in range(_ROUNDS):
            started = time.perf_counter()
            deed()  # which looks at the numbers, and so waits for them
            best = min(best, time.perf_counter() - started)
        return _rate(4 * _NUMBERS, best)

    def _write(self) -> str:
        path = self._folder / f".tissu-probe-{secrets.token_hex(4)}"
        block = os.urandom(_BLOCK_BYTES)
        try:
            started = time.perf_counter()
            with path.open("wb") as file:
                for _ in range(_BLOCKS):
                    file.write(block)
                file.flush()
                os.fsync(file.fileno())
            seconds = time.perf_counter() - started
            with path.open("rb") as file:
                if any(file.read(_BLOCK_BYTES) != block for _ in range(_BLOCKS)):
                    raise OSError(f"{path} does not hold what was written")
        finally:
            path.unlink(missing_ok=True)
        return _rate(_BLOCKS * _BLOCK_BYTES, seconds)


def _require(numbers: Tensor, expected: int, what: str) -> None:
    wrong = int((numbers != expected).sum())
    if wrong:
        raise RuntimeError(f"{what} is wrong in {wrong:,} of {numbers.numel():,} numbers")


def _rate(num_bytes: int, seconds: float) -> str:
    speed = num_bytes / seconds / 1e9
    return f"{num_bytes / 1e6:.0f} MB in {seconds * 1000:.1f} ms ({speed:.2f} GB/s)"


def _say(**record: object) -> None:
    sys.stdout.write(json.dumps(record) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
