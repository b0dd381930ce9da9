"""Generated code run against tests, where it can do no harm. Imports no torch.

Walls, which code cannot take down, whatever it does (Linux on x86-64 and ARM, also as root):

- **no other process**: seccomp refuses fork, clone, exec, signals and ptrace, so a fork bomb fails
  at its first fork, and ending this one process ends all there is. Threads are refused too.
- **no network**: seccomp refuses sockets. What two ends of an own pair say stays in the process.
- **no writes outside** a fresh directory: landlock (Salaün 2021) refuses making, writing, renaming
  and removing; seccomp refuses what landlock does not see, such as modes and owners. Nor can
  folders be made inside.
- **no privileges**: no capabilities, and no program gives any back.
- **bounded**: processor time, memory, a file and open files by rlimits; the clock, what is printed
  and what lies in the directory by this process, which ends the other.

Each new process tries the first three before it runs anything, and runs nothing if one is open.

Fences, which code that means to can climb: an audit hook in the same interpreter names what the
walls would refuse by number. Where there are no walls (other systems, kernels before 5.13,
containers that forbid landlock or seccomp) fences, rlimits and the clock are all there is, which is
why code is refused there unless a person allows it.

Not kept from code: reading what this user may read, and telling this process that it has passed.
"""

import json
import os
import platform
import secrets
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from tissu_core.errors import ConfigError
from tissu_core.evals.sandbox.system_calls import build_filter

_CHILD = Path(__file__).with_name("child.py")
_POLL_SECONDS = 0.02
_LEFT_SECONDS = 1.0
"""To read what an ended process has said."""
_MOST_FILES = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a program may use. The clock runs twice as long as the processor's, and 2 s more."""

    cpu_seconds: int = 5
    memory_bytes: int = 512 << 20
    file_bytes: int = 4 << 20
    """Of each file, and of all that lie there at once."""
    output_bytes: int = 64 << 10

    @property
    def wall_seconds(self) -> float:
        """By the clock, so that a busy machine is no failure."""
        return 2.0 * self.cpu_seconds + 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a program ended.

    ``reason`` is "passed", "failed", or what it wanted too much of: "time", "memory", "output",
    "files", "processes", "network", "native code"; "crashed" if the interpreter did.
    """

    reason: str
    text: str = ""
    refused: tuple[str, ...] = ()
    """What it asked for in vain, whether it then went on or not."""

    @property
    def is_passed(self) -> bool:
        """Whether all tests held."""
        return self.reason == "passed"


def run_code(
    code: str, tests: str, *, is_allowed: bool = False, limits: Limits | None = None
) -> Outcome:
    """Run ``code`` and then ``tests`` in a process of their own, in a fresh directory.

    Raises:
        ConfigError: If the walls cannot be built here and ``is_allowed`` is not set.
    """
    limits = limits or Limits()
    with tempfile.TemporaryDirectory(prefix="tissu-code-", ignore_cleanup_errors=True) as outer:
        directory = Path(outer) / "inside"
        directory.mkdir()
        job = make_job(code, tests, directory, limits)
        outcome = run_job(job, limits)
        if outcome.reason != "no walls":
            return outcome
        if not is_allowed:
            raise ConfigError(
                f"generated code is not run here: {outcome.text}",
                field="allow_code",
                hint="--allow-code runs it all the same, with time and memory limits alone; or "
                "leave such suites out",
            )
        return run_job({**job, "has_walls": False}, limits)


def require_walls(*, is_allowed: bool) -> None:
    """Refuse to run code where it could do harm, before any is generated.

    Raises:
        ConfigError: If the walls cannot be built here and ``is_allowed`` is not set.
    """
    run_code("", "", is_allowed=is_allowed)


def make_job(code: str, tests: str, directory: Path, limits: Limits) -> dict[str, Any]:
    """What the process is told; see ``child``."""
    beside = directory.with_name("beside")
    beside.touch()
    filter_code = build_filter() if platform.system() == "Linux" else None
    return {
        "code": code,
        "tests": tests,
        "directory": str(directory),
        "beside": str(beside),
        "word": secrets.token_hex(16),
        "cpu_seconds": limits.cpu_seconds,
        "memory_bytes": limits.memory_bytes,
        "file_bytes": limits.file_bytes,
        "filter": "" if filter_code is None else filter_code.hex(),
        "has_walls": True,
        "has_fences": True,
    }


def run_job(job: Mapping[str, Any], limits: Limits) -> Outcome:
    """Run one job to its end, which comes at the latest with the clock."""
    if job["has_walls"] and not job["filter"]:
        return Outcome(reason="no walls", text=f"there are no walls for code on {_system()}")
    process = subprocess.Popen(
        [sys.executable, "-I", "-S", str(_CHILD)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=job["directory"],
        env=_environment(job["directory"]),
        start_new_session=True,
    )
    assert process.stdin and process.stdout and process.stderr
    said, printed = _Pipe(process.stdout, limits), _Pipe(process.stderr, limits)
    try:
        try:
            process.stdin.write(json.dumps(job).encode())
            process.stdin.close()
        except OSError:  # it ended before it read all
            pass
        broken = _watch(process, (said, printed), Path(job["directory"]), limits)
    finally:
        _end(process)
        are_closed = [pipe.close() for pipe in (said, printed)]
    if not all(are_closed):
        broken = "processes"
    return _judge(job["word"], process.returncode, said.text(), broken)


def _watch(
    process: subprocess.Popen[bytes], pipes: tuple["_Pipe", ...], directory: Path, limits: Limits
) -> str:
    """Wait for its end; returns what it used too much of, or nothing."""
    last = time.monotonic() + limits.wall_seconds
    while True:
        if any(pipe.is_full for pipe in pipes):
            return "output"
        if not _is_within(directory, limits):
            return "files"
        try:
            process.wait(_POLL_SECONDS)
        except subprocess.TimeoutExpired:
            if time.monotonic() > last:
                return "time"
            continue
        return ""


def _is_within(directory: Path, limits: Limits) -> bool:
    """Whether what lies there is little; a file may go while it is counted."""
    total = number = 0
    with os.scandir(directory) as entries:
        for entry in entries:
            number += 1
            try:
                total += entry.stat(follow_symlinks=False).st_size
            except OSError:
                continue
            if number > _MOST_FILES or total > limits.file_bytes:
                return False
    return True


def _judge(word: str, code: int, said: str, broken: str) -> Outcome:
    records = [_record(line) for line in said.splitlines()]
    refused = tuple(str(record["refused"]) for record in records if "refused" in record)
    ends = [record for record in records if "ended" in record]
    end = ends[-1] if ends else None
    if broken:
        return Outcome(reason=broken, text=_TOO_MUCH[broken], refused=refused)
    if end is None and code in _OUT_OF_TIME:
        return Outcome(reason="time", text=_TOO_MUCH["time"], refused=refused)
    if end is None:
        text = (
            f"the interpreter ended with {code}" if code else "it left before its tests were done"
        )
        return Outcome(reason="crashed" if code else "failed", text=text, refused=refused)
    reason, text = str(end["ended"]), str(end.get("text", ""))
    if reason == "passed" and end.get("word") != word:
        reason, text = "failed", "it said itself that it had passed"
    return Outcome(reason=reason, text=text, refused=refused)


_TOO_MUCH = {
    "time": "it did not end in time",
    "output": "it printed too much",
    "files": "it wrote too much",
    "processes": "it left a process behind",
}
_OUT_OF_TIME = [-getattr(signal, name) for name in ("SIGXCPU", "SIGKILL") if hasattr(signal, name)]
"""Of the processor, softly and, where that was not heard, hard."""


def _record(line: str) -> dict[str, Any]:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return record if isinstance(record, dict) else {}


class _Pipe:
    """Reads what a process says, so that it never waits, and keeps no more than its limit."""

    def __init__(self, file: IO[bytes], limits: Limits) -> None:
        self._file, self._limit, self._parts = file, limits.output_bytes, bytearray()
        self.is_full = False
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        with suppress(OSError, ValueError):  # closed, though another holds the other end
            while part := os.read(self._file.fileno(), 1 << 16):
                if len(self._parts) + len(part) > self._limit:
                    self.is_full = True
                    return
                self._parts += part

    def text(self) -> str:
        """All that was said."""
        return self._parts.decode(errors="replace")

    def close(self) -> bool:
        """The process has ended: read what is left. False if another has its end of the pipe."""
        self._thread.join(_LEFT_SECONDS)
        is_closed = not self._thread.is_alive()
        if is_closed:
            self._file.close()
        return is_closed


def _end(process: subprocess.Popen[bytes]) -> None:
    """Kill it with its group: without walls it may have started others.

    One that has left the group lives on; its pipe, which it still holds, gives it away.
    """
    if process.poll() is None or os.name == "posix":
        try:
            if os.name == "posix":
                os.killpg(process.pid, signal.SIGKILL)
            else:
                process.kill()
        except OSError:  # all gone
            pass
    process.wait()


def _environment(directory: str) -> dict[str, str]:
    """Nothing of this process's, which may hold keys; but what Windows cannot do without."""
    kept = {name: os.environ[name] for name in ("SYSTEMROOT",) if name in os.environ}
    return {**kept, "HOME": directory, "TMPDIR": directory, "LANG": "C.UTF-8"}


def _system() -> str:
    return f"{platform.system() or 'this system'} {platform.machine()}".strip()
