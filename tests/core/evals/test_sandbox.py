"""Generated code does no harm: every way out is closed and named, by fences and by walls."""

import os
import platform
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from tissu_core.errors import ConfigError
from tissu_core.evals.sandbox import sandbox
from tissu_core.evals.sandbox.sandbox import Limits, Outcome, make_job, run_code, run_job
from tissu_core.evals.sandbox.system_calls import build_filter

QUICK = Limits(cpu_seconds=1)
walled = pytest.mark.skipif(platform.system() != "Linux", reason="walls are built on Linux")
pytestmark = walled


def by_walls_alone(code: str, directory: Path, tests: str = "") -> Outcome:
    job = make_job(code, tests, directory, QUICK)
    return run_job({**job, "has_fences": False}, QUICK)


def by_fences_alone(code: str, directory: Path) -> Outcome:
    job = make_job(code, "", directory, QUICK)
    return run_job({**job, "has_walls": False}, QUICK)


@pytest.fixture
def inside(tmp_path: Path) -> Path:
    directory = tmp_path / "inside"
    directory.mkdir()
    return directory


def test_right_code_passes_and_wrong_code_names_the_assertion() -> None:
    assert run_code("def f(x):\n    return x + 1\n", "assert f(1) == 2").is_passed
    wrong = run_code("def f(x):\n    return x\n", "assert f(0) == 0\nassert f(1) == 2\n")
    assert (wrong.reason, wrong.text) == ("failed", "AssertionError: assert f(1) == 2")
    assert run_code("def f(:", "").text.startswith("SyntaxError")


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("while True:\n    pass", "time"),
        ("import time\ntime.sleep(1000)", "time"),
        ("rows = []\nwhile True:\n    rows.append(bytes(10_000_000))", "memory"),
        ("while True:\n    print('x' * 10_000)", "output"),
        ("import os\nwhile True:\n    os.write(1, b'x' * 10_000)", "output"),
        (
            "with open('a', 'wb') as file:\n    while True:\n        file.write(bytes(10**6))",
            "files",
        ),
        ("n = 0\nwhile True:\n    open(str(n), 'w').close()\n    n += 1", "files"),
        ("import os\nwhile True:\n    os.fork()", "processes"),
        ("import subprocess\nsubprocess.run(['true'])", "processes"),
        ("import os\nos.kill(os.getppid(), 9)", "processes"),
        ("import threading\nthreading.Thread(target=print).start()", "processes"),
        ("import socket\nsocket.create_connection(('127.0.0.1', 9))", "network"),
        ("import urllib.request\nurllib.request.urlopen('http://127.0.0.1:9')", "network"),
        ("import ctypes\nctypes.CDLL(None)", "native code"),
        ("import os\nos._exit(0)", "failed"),
        ("raise SystemExit(0)", "failed"),
        ("import os\nos.abort()", "crashed"),
    ],
)
def test_what_wants_too_much_is_ended_and_named(code: str, reason: str) -> None:
    outcome = run_code(code, "", limits=QUICK)
    assert outcome.reason == reason, outcome
    assert outcome.text


@pytest.mark.parametrize(
    "deed",
    [
        "open({path!r}, 'w')",
        "open({path!r}, 'r+')",
        "__import__('os').open({path!r}, 64 | 1)",
        "__import__('os').remove({path!r})",
        "__import__('os').rename({path!r}, 'taken')",
        "__import__('os').chmod({path!r}, 0)",
        "__import__('os').truncate({path!r}, 0)",
        "__import__('os').symlink({path!r}, {path!r} + '.link')",
        "__import__('os').mkdir({path!r} + '.folder')",
        "__import__('os').utime({path!r}, (0, 0))",
    ],
)
@pytest.mark.parametrize("guard", [by_walls_alone, by_fences_alone])
def test_no_file_outside_is_changed(
    guard: Callable[[str, Path], Outcome], deed: str, tmp_path: Path, inside: Path
) -> None:
    mine = tmp_path / "mine.txt"
    mine.write_text("kept")
    before, around = mine.stat(), sorted(tmp_path.iterdir())
    outcome = guard(deed.format(path=str(mine)), inside)
    assert outcome.reason in ("failed", "files"), outcome
    assert mine.read_text() == "kept"
    assert (mine.stat().st_mode, mine.stat().st_mtime) == (before.st_mode, before.st_mtime)
    assert {*tmp_path.iterdir()} - {*around} <= {tmp_path / "beside"}


@pytest.mark.parametrize(
    "deed",
    [
        "os.fork()",
        "libc.fork()",
        "check(libc.syscall(56, 17, 0, 0, 0, 0))",
        "check(libc.syscall(435, 0, 0))",
        "os.execv('/bin/true', ['true'])",
        "os.kill(os.getppid(), 0)",
        "threading.Thread(target=print).start()",
        "socket.socket()",
        "socket.socket(socket.AF_UNIX)",
        "socket.socketpair(type=socket.SOCK_DGRAM)[0].sendto(b'x', '/dev/log')",
        "check(libc.unshare(0x10000000))",
        "check(libc.mount(b'none', b'/', None, 0, None))",
        "resource.prlimit(os.getppid(), resource.RLIMIT_NOFILE, (9, 9))",
        "os.open(outside, os.O_RDONLY | os.O_TRUNC)",
        "resource.setrlimit(resource.RLIMIT_AS, (-1, -1))",
        "fcntl.ioctl(os.open(outside, os.O_RDONLY), 0x40086602, bytes(8))",
        "fcntl.flock(os.open(outside, os.O_RDONLY), fcntl.LOCK_EX)",
        "fcntl.lockf(os.open(outside, os.O_RDONLY), fcntl.LOCK_SH)",
        "fcntl.fcntl(0, fcntl.F_SETOWN, os.getppid())",
    ],
)
def test_walls_hold_without_fences(deed: str, inside: Path) -> None:
    outside = inside.with_name("mine.txt")
    outside.write_text("kept")
    code = f"""
import ctypes, fcntl, os, resource, socket, threading
libc, outside = ctypes.CDLL(None, use_errno=True), {str(outside)!r}
def check(result):
    if result < 0:
        raise OSError(ctypes.get_errno(), "refused")
result = None
try:
    result = {deed}
except (OSError, RuntimeError, ValueError) as error:
    closed = getattr(error, "errno", None) in (None, 1, 38)
else:
    closed = result == -1
    if result == 0 and "fork" in {deed!r}:
        os._exit(0)
"""
    outcome = by_walls_alone(code, inside, "assert closed")
    assert outcome.is_passed, outcome
    assert outside.read_text() == "kept"


def test_inside_its_folder_code_may_write_and_an_event_loop_runs() -> None:
    code = (
        "import asyncio, tempfile\nasync def three():\n    await asyncio.sleep(0)\n    return 3\n"
    )
    tests = (
        "open('a.txt', 'w').write('x')\nassert open('a.txt').read() == 'x'\n"
        "assert tempfile.TemporaryFile().write(b'ab') == 2\nassert asyncio.run(three()) == 3\n"
    )
    assert run_code(code, tests) == Outcome(reason="passed")


def test_what_was_refused_is_told_though_the_code_went_on() -> None:
    code = "import os\ntry:\n    os.fork()\nexcept OSError:\n    pass\n"
    assert run_code(code, "") == Outcome(reason="passed", refused=("processes",))


def test_nothing_of_the_environment_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_KEY", "abc")
    assert run_code("import os", "assert 'SECRET_KEY' not in os.environ").is_passed


def test_without_walls_code_is_refused_unless_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox, "build_filter", lambda: None)
    with pytest.raises(ConfigError, match="generated code is not run here") as raised:
        run_code("x = 1", "assert x")
    assert "--allow-code" in raised.value.hint
    assert run_code("x = 1", "assert x", is_allowed=True).is_passed
    assert run_code("import os\nos.fork()", "", is_allowed=True).reason == "processes"


def test_a_wall_that_does_not_hold_is_noticed(inside: Path) -> None:
    allow_all = (6).to_bytes(2, "little") + bytes(2) + (0x7FFF0000).to_bytes(4, "little")
    job = make_job("open('ran', 'w').close()", "", inside, QUICK)
    outcome = run_job({**job, "filter": allow_all.hex()}, QUICK)
    assert outcome.reason == "no walls" and "processes" in outcome.text
    assert not (inside / "ran").exists()


def test_nothing_is_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox.tempfile, "tempdir", str(tmp_path))
    before = children()
    run_code("import time\nopen('a', 'w').close()\ntime.sleep(1000)", "", limits=QUICK)
    assert not [path for path in tmp_path.iterdir() if path.name.startswith("tissu-code-")]
    assert children() <= before


def test_one_that_left_its_group_is_not_waited_for(inside: Path) -> None:
    name = inside.with_name("pid")
    code = f"""
import subprocess
left = subprocess.Popen(["sleep", "600"], start_new_session=True)
print(left.pid, file=open({str(name)!r}, "w"))
"""
    job = make_job(code, "", inside, QUICK)
    outcome = run_job({**job, "has_walls": False, "has_fences": False}, QUICK)
    os.kill(int(name.read_text()), signal.SIGKILL)
    assert outcome.reason == "processes"


def children() -> set[int]:
    """Processes that this one has begun, other tests' too."""
    found = (path.read_text().split() for path in Path("/proc/self/task").glob("*/children"))
    return {int(pid) for pids in found for pid in pids}


def test_filters_are_known_for_two_machines() -> None:
    for machine in ("x86_64", "aarch64"):
        found = build_filter(machine)
        assert found is not None and len(found) % 8 == 0
    assert build_filter("riscv64") is None
