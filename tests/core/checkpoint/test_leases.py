import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tissu_core.checkpoint.leases import lease, leased
from tissu_core.checkpoint.store import CheckpointStore

HOLD = """
import sys, time
from pathlib import Path
from tissu_core.checkpoint.leases import lease
with lease(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(600)
"""


@pytest.fixture
def store(tmp_path: Path) -> CheckpointStore:
    return CheckpointStore(tmp_path / "checkpoints")


def save(store: CheckpointStore, *steps: int) -> None:
    for step in steps:
        store.save(step, lambda path: (path / "weights").write_bytes(b"w") and None, {})


def lease_files(store: CheckpointStore) -> list[Path]:
    return list(store.directory.glob("lease-*"))


def test_a_checkpoint_in_use_is_not_pruned(store: CheckpointStore) -> None:
    save(store, 1)
    with lease(store.path_of(1)):
        save(store, 2, 3, 4)
        assert store.steps() == [1, 3, 4]
        assert store.is_good(1)
        assert store.never_finished() == []
    assert lease_files(store) == []
    save(store, 5)
    assert store.steps() == [4, 5], "it goes once nobody uses it"


def test_a_checkpoint_stays_until_its_last_reader_is_gone(store: CheckpointStore) -> None:
    save(store, 1)
    with lease(store.path_of(1)):
        with lease(store.path_of(1)):
            assert len(lease_files(store)) == 2
        save(store, 2, 3)
        assert store.steps() == [1, 2, 3]


def test_a_killed_reader_holds_nothing(store: CheckpointStore) -> None:
    save(store, 1)
    command = [sys.executable, "-c", HOLD, str(store.path_of(1))]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as reader:
        assert reader.stdout is not None and reader.stdout.readline()
        save(store, 2, 3)
        assert store.steps() == [1, 2, 3]
        reader.send_signal(signal.SIGKILL)
    assert len(lease_files(store)) == 1, "nobody was left to remove it"
    save(store, 4)
    assert store.steps() == [3, 4]
    assert lease_files(store) == []


def test_what_is_no_checkpoint_of_a_run_needs_no_lease(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "step-1").write_bytes(b"a file")
    for path in (tmp_path / "model", tmp_path / "step-1", tmp_path / "step-2"):
        with lease(path):
            assert leased(tmp_path) == set()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model", "step-1"]


def test_a_directory_that_cannot_be_written_gives_no_lease(
    store: CheckpointStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(store, 1)

    def refuse(path: str, flags: int, *mode: int) -> int:
        if flags & os.O_CREAT and "lease" in str(path):
            raise PermissionError(13, "Permission denied")
        return open_file(path, flags, *mode)

    open_file = os.open
    monkeypatch.setattr(os, "open", refuse)
    with lease(store.path_of(1)):
        assert lease_files(store) == []
