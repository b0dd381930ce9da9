"""A fault at every system call of a save: nothing that was finished is lost, nothing is mixed."""

import random
import re
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.core.checkpoint.one_save import BEGIN, save
from tissu_core.checkpoint.store import CheckpointStore
from tissu_core.errors import TissuError
from tissu_core.storage import verify

ERRORS = {
    "write": ("ENOSPC", "EIO"),
    "pwrite64": ("ENOSPC", "EIO"),
    "writev": ("ENOSPC", "EIO"),
    "copy_file_range": ("ENOSPC", "EIO"),
    "sendfile": ("ENOSPC", "EIO"),
    "fallocate": ("ENOSPC",),
    "ftruncate": ("ENOSPC", "EFBIG"),
    "fsync": ("EIO", "ENOSPC"),
    "fdatasync": ("EIO",),
    "mkdir": ("ENOSPC", "EDQUOT"),
    "rename": ("EIO", "ENOSPC"),
    "renameat": ("EIO", "ENOSPC"),
    "renameat2": ("EIO", "ENOSPC"),
    "unlink": ("EIO",),
    "unlinkat": ("EIO",),
    "rmdir": ("EIO",),
    "openat": ("ENOSPC", "EMFILE"),
    "read": ("EIO",),
}
READING = ("openat", "read")
"""A kill before one of these leaves the disk as one before the next that writes does."""
TRACED = f"trace={','.join(ERRORS)},stat,newfstatat,statx"


def strace(directory: Path, *options: str, step: int) -> "subprocess.CompletedProcess[str]":
    words = [sys.executable, "-B", "-m", "tests.core.checkpoint.one_save", directory, step, "new"]
    return subprocess.run(
        ["strace", "-f", "-qq", *options, *map(str, words)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Checkpoints 10, the best, and 20, the last."""
    directory = tmp_path_factory.mktemp("finished") / "checkpoints"
    save(directory, 10, "old")
    save(directory, 20, "old")
    CheckpointStore(directory).point("best", 10, 0.5)
    return directory


def count_calls(directory: Path, step: int) -> tuple[Counter[str], Counter[str]]:
    """How often each system call came before the save, and in it."""
    log = directory.with_name("trace")
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed: no fault was injected")
    done = strace(directory, "-o", str(log), "-e", TRACED, step=step)
    if done.returncode:
        pytest.skip(f"strace cannot trace here, no fault was injected: {done.stderr.strip()}")
    before, after = log.read_text().split(BEGIN)
    names = re.compile(r"^\d+ +(\w+)\(", re.MULTILINE)
    return Counter(names.findall(before)), Counter(names.findall(after))


def iter_faults(directory: Path, step: int) -> Iterator[tuple[str, str]]:
    """Every fault once: what strace is asked for, and its kind."""
    before, within = count_calls(directory, step)
    for call in ERRORS.keys() & within.keys():
        kinds = [f"error={error}" for error in ERRORS[call]]
        kinds += [] if call in READING else ["signal=SIGKILL"]
        for number in range(before[call] + 1, before[call] + within[call] + 1):
            for kind in kinds:
                yield f"inject={call}:{kind}:when={number}", f"{call} {kind}"


def content(path: Path) -> str:
    """What a checkpoint holds, the same in each of its files."""
    manifest = verify(path)
    found = str(manifest["content"])
    assert sorted(manifest["files"]) == [
        "config.json",
        "model.safetensors",
        "optimizer.safetensors",
    ]
    assert all(found.encode() in (path / name).read_bytes() for name in manifest["files"])
    return found


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("step", [30, 20], ids=["a new step", "a step saved once before"])
def test_a_fault_at_every_system_call_of_a_save_loses_nothing(
    finished: Path, tmp_path: Path, step: int
) -> None:
    injected: Counter[str] = Counter()
    for number, (fault, kind) in enumerate(iter_faults(copy(finished, tmp_path / "clean"), step)):
        directory = copy(finished, tmp_path / str(number))
        # Its quick way of stopping (3 times) swallows signals in strace 6.1.
        speed = [] if "SIGKILL" in kind else ["--seccomp-bpf"]
        done = strace(directory, *speed, "-e", TRACED, "-e", fault, step=step)
        assert "INJECTED" in done.stderr or done.returncode == -signal.SIGKILL, fault
        judge(directory, step, fault, is_saved=done.returncode == 0)
        injected[kind] += 1
        shutil.rmtree(directory.parent)
    lines = [f"  {kind:24} {times:4}" for kind, times in sorted(injected.items())]
    title = f"save of step {step}: {injected.total()} faults injected"
    sys.stdout.write("\n".join(["", title, *lines, ""]))
    assert injected.total() >= 150


def copy(finished: Path, target: Path) -> Path:
    return Path(shutil.copytree(finished, target / "checkpoints"))


def judge(directory: Path, step: int, fault: str, *, is_saved: bool) -> None:
    store = CheckpointStore(directory, keep=2)
    store.recover()  # what a resume does, and all that it does
    newest = store.newest_verified(is_fallback_allowed=False)
    assert newest in (store.path_of(20), store.path_of(step)), fault
    assert content(store.path_of(10)) == "old", fault
    assert content(store.path_of(20)) == "old" or step == 20, fault
    assert content(newest) == ("new" if is_saved else content(newest)), fault
    if newest == store.path_of(30):
        assert content(newest) == "new", fault
    assert store.pointed("last") in (20, step), fault
    assert store.pointed("best") in (10, step), fault
    save(directory, 40, "next")
    assert store.newest_verified(is_fallback_allowed=False) == store.path_of(40), fault
    assert content(store.path_of(40)) == "next", fault
    assert not list(directory.glob(".tmp*")), fault


def test_500_flipped_bits_anywhere_in_a_checkpoint_are_all_seen(finished: Path) -> None:
    draw = random.Random(1337)
    path = finished / "step-000020"
    files = sorted(path.iterdir())
    for number in range(500):
        file = files[number % len(files)]
        whole = file.read_bytes()
        # Every other flip is at the beginning: the header of a tensor file.
        position = draw.randrange(len(whole) if number % 2 else 16)
        flipped = bytearray(whole)
        flipped[position] ^= 1 << draw.randrange(8)
        file.write_bytes(flipped)
        with pytest.raises(TissuError):
            verify(path)
        file.write_bytes(whole)
    verify(path)
