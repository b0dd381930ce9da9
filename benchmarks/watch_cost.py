"""What ``tissu watch`` costs beside a run: its share of a core, and seconds to read a long log.

``python benchmarks/watch_cost.py`` writes the log of a run that reports ``--rate`` times a second,
and watches it on a pseudo-terminal of 120x36 for ``--seconds``, after a warm-up; then it watches a
run that says nothing more; then one whose log has ``--megabytes``, until the last step is drawn.
Needs Linux's /proc.
"""

import argparse
import math
import os
import pty
import select
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from tissu_core.config.runs import TrainRun
from tissu_core.events.training import (
    CheckpointSaved,
    EvalFinished,
    Planned,
    RunStarted,
    SampleGenerated,
    StepFinished,
    TrainEvent,
)
from tissu_core.runs.run_directory import writing
from tissu_core.runs.train.stored_run import StoredRun, write_run
from tissu_core.tracking.event_log import EVENTS_FILE, EventLog

EVERY = 10
STEPS = 100_000_000
TICKS = os.sysconf("SC_CLK_TCK")
PLANNED = Planned(
    model="6 layers x 384",
    num_parameters=12_345_678,
    vocab_size=8192,
    context_tokens=256,
    train_tokens=10_000_000,
    validation_tokens=100_000,
    batch_tokens=8192,
    steps=STEPS,
    is_timed=False,
    minutes=60.0,
    passes=2.0,
    optimizer="muon",
    learning_rate=0.02,
    device="CPU, 2 threads",
    precision="bf16",
    reasons=(),
)


def report(number: int) -> StepFinished:
    """A report as runs make them: noisy and falling."""
    noise = math.sin(number * 12.9898) * 43758.5453 % 1
    return StepFinished(
        step=number * EVERY,
        progress=number * EVERY / STEPS,
        loss=2.0 + 6.0 / (1 + number / 100) + 0.2 * noise,
        learning_rate=0.02 * (1 - number * EVERY / STEPS),
        grad_norm=0.5 + noise,
        tokens=number * EVERY * 8192,
        tokens_per_second=12_000.0 + 900 * noise,
        elapsed_seconds=number * 1.0,
        memory_bytes=1_500_000_000,
        device_utilization=None,
    )


def told(number: int) -> list[TrainEvent]:
    """What a run says at a report: each hundredth time with a score, a save and a sample."""
    step, events = number * EVERY, [report(number)]
    if number % 100:
        return [*events]
    loss = events[0].loss
    text = f" counted the {step} threads and moved the sacks of the mill to the river" * 3
    return [
        *events,
        CheckpointSaved(step=step, path=f"checkpoints/step-{step}", num_bytes=1, seconds=0.5),
        EvalFinished(step=step, loss=loss, perplexity=9.0, bits_per_byte=loss / 2, is_best=True),
        SampleGenerated(step=step, prompt="The weaver", text=text),
    ]


def begin(directory: Path, reports: int) -> EventLog:
    """A run with so many reports behind it."""
    directory.mkdir(parents=True)
    write_run(directory, StoredRun(run=TrainRun(), steps=STEPS, tokens_key="k"))
    log = EventLog(directory)
    name, where = directory.name, str(directory)
    log.append(RunStarted(name=name, directory=where, tissu_version="0", torch_version="0"))
    log.append(PLANNED)
    for number in range(1, reports + 1):
        for event in told(number):
            log.append(event)
    return log


class Screen:
    """``tissu watch`` on a terminal whose output is read and thrown away."""

    def __init__(self, directory: Path) -> None:
        self._parent, child = pty.openpty()
        subprocess.run(["stty", "rows", "36", "cols", "120"], stdin=child, check=True)
        env = {**os.environ, "TERM": "xterm-256color", "CI": ""}
        command = [sys.executable, "-m", "tissu_cli", "watch", str(directory)]
        self._process = subprocess.Popen(
            command, stdin=child, stdout=child, stderr=child, start_new_session=True, env=env
        )
        os.close(child)
        self.num_bytes = 0
        self._tail = b""

    def read(self, seconds: float, until: bytes = b"") -> bool:
        """Read for so long, or until it drew something."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            if not select.select([self._parent], [], [], left)[0]:
                continue
            data = os.read(self._parent, 1 << 16)
            self.num_bytes += len(data)
            self._tail = (self._tail + data)[-(1 << 17) :]
            if until and until in self._tail:
                return True
        return False

    @property
    def cpu_seconds(self) -> float:
        """Of the process so far."""
        stat = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(stat[11]) + int(stat[12])) / TICKS

    @property
    def memory(self) -> int:
        """Its resident bytes."""
        pages = int(Path(f"/proc/{self._process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    def end(self) -> None:
        """Kill it."""
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        os.close(self._parent)


def share(directory: Path, seconds: float, rate: float) -> None:
    """Print the share of a core while reports come at this rate."""
    log = begin(directory, 3000)
    over = threading.Event()

    def train() -> None:
        number = 3000
        while rate and not over.wait(1 / rate):
            number += 1
            for event in told(number):
                log.append(event)

    with writing(directory):
        thread = threading.Thread(target=train)
        thread.start()
        screen = Screen(directory)
        screen.read(30, until=b"tokens/s")
        screen.read(10)
        before, drawn = screen.cpu_seconds, screen.num_bytes
        screen.read(seconds)
        used, drawn = screen.cpu_seconds - before, screen.num_bytes - drawn
        print(
            f"{rate:g} reports a second: {used:.2f} s of {seconds:g} s, {used / seconds:.2%} of a "
            f"core, {drawn / seconds / 1000:.1f} kB/s drawn, {screen.memory / 1e6:.0f} MB",
            flush=True,
        )
        screen.end()
        over.set()
        thread.join()
    log.close()


def attach(directory: Path, megabytes: float) -> None:
    """Print the seconds until a long log is drawn to its end."""
    short = directory.with_name(f"{directory.name}-short")
    begin(short, 1000).close()
    size = (short / EVENTS_FILE).stat().st_size
    last = round(1000 * megabytes * 1e6 / size)
    begin(directory, last).close()
    with writing(directory):
        started = time.perf_counter()
        screen = Screen(directory)
        if not screen.read(120, until=f"step {last * EVERY:,} of".encode()):
            raise SystemExit("the last step was never drawn")
        seconds = time.perf_counter() - started
        print(
            f"a log of {megabytes:g} MB: drawn after {seconds:.1f} s and {screen.cpu_seconds:.1f} s"
            f" of a core, {screen.memory / 1e6:.0f} MB",
            flush=True,
        )
        screen.end()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--rate", type=float, nargs="*", default=[1.0, 2.0, 0.0])
    parser.add_argument("--megabytes", type=float, nargs="*", default=[0.0, 50.0])
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for rate in asked.rate:
            share(Path(folder) / f"rate-{rate:g}", asked.seconds, rate)
        for megabytes in asked.megabytes:
            attach(Path(folder) / f"log-{megabytes:g}", max(megabytes, 0.01))


if __name__ == "__main__":
    main()
