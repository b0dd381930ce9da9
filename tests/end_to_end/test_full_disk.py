"""Disks that are full, fail or forbid: said early, tried again, and nothing lost."""

import os
import shutil
from collections import namedtuple
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.conftest import (
    FAST,
    Copy,
    Tissu,
    log_of,
    train_briefly,
)
from tissu_core.checkpoint.store import CheckpointStore
from tissu_core.training import saving


class Disk:
    """Refuses to store tensors while ``refusals`` are left."""

    def __init__(self, patch: pytest.MonkeyPatch, refusals: float, number: int = 28) -> None:
        from tissu_core.checkpoint import weights

        self.refusals, self.asked = refusals, 0
        save_file = weights.save_file

        def save(tensors: Any, path: Path, **options: Any) -> None:
            self.asked += 1
            if self.refusals > 0:
                self.refusals -= 1
                raise weights.SafetensorError(f"I/O error: No space left (os error {number})")
            save_file(tensors, path, **options)

        patch.setattr(weights, "save_file", save)
        patch.setattr(saving, "RETRY_SECONDS", (0.0, 0.0, 0.0))


def test_a_disk_that_is_full_for_a_moment_is_tried_again(
    tissu: Tissu, corpus: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Disk(monkeypatch, refusals=3)
    result = train_briefly(tissu, corpus, "--save-every", "2", "--eval-every", "100")
    assert result.code == 0, result.err
    assert result.err.count("trying again") == 3
    assert {"CheckpointSaved", "Noticed"} <= {e["event"] for e in log_of(tissu.home / "runs/r")}


@pytest.mark.parametrize("number", [28, 5, 122], ids=["ENOSPC", "EIO", "EDQUOT"])
def test_training_goes_on_while_saves_fail_and_keeps_what_it_had(
    tissu: Tissu, corpus: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """The saves of steps 2 and 4 fail with all their tries, and that of step 6 does not."""
    Disk(monkeypatch, refusals=8, number=number)
    result = train_briefly(tissu, corpus, "--eval-every", "2")
    assert result.code == 0, result.err
    assert result.err.count("goes on without a checkpoint") == 2
    store = CheckpointStore(tissu.home / "runs/r/checkpoints")
    assert store.steps() == [6, 8]
    assert store.pointed("best") in (6, 8), "an unsaved step is no best one"
    assert tissu("generate", "r", "-p", "x", "--max-tokens", "2").code == 0


def test_three_saves_in_a_row_that_fail_end_the_run_with_a_way_out(
    trained_copy: Copy, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained = trained_copy()
    disk = Disk(monkeypatch, refusals=float("inf"))
    result = train_briefly(
        trained.tissu, trained.corpus, "--save-every", "1", "--eval-every", "100"
    )
    assert result.code == 4
    assert disk.asked == 3 * 4
    assert "step 3 is not saved" in result.error[0]
    assert "GB are free" in result.error[0] and "a checkpoint needs 0.000" in result.error[0]
    assert "every earlier checkpoint" in result.error[1]
    assert "tissu runs rm cloth (0.000" in result.error[2]
    assert "tissu train --resume r" in result.error[2]
    assert trained.tissu("train", "--resume", "cloth", "--dry-run").code == 2
    disk.refusals = 0
    assert trained.tissu("train", "--resume", "r").code == 0


def test_the_last_save_has_to_succeed(
    tissu: Tissu, corpus: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Disk(monkeypatch, refusals=float("inf"))
    result = train_briefly(tissu, corpus, "--save-every", "100", "--eval-every", "8")
    assert result.code == 4
    assert "step 8 is not saved" in result.error[0]


def test_too_little_room_is_said_before_the_first_step(
    tissu: Tissu, corpus: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(1 << 40, 0, 1_000_000))
    result = train_briefly(tissu, corpus, "--width", "256")
    assert result.code == 4
    assert "0.001 GB free" in result.error[0] and "checkpoints need 0.0" in result.error[0]
    assert not (tissu.home / "runs").exists()
    monkeypatch.undo()
    assert train_briefly(tissu, corpus).code == 0, "the same name is still free"


@pytest.mark.skipif(os.name != "posix", reason="Windows' folders have no such bits")
def test_a_place_that_is_read_only_is_said_before_the_first_step(
    tissu: Tissu, corpus: Path, tmp_path: Path
) -> None:
    assert train_briefly(tissu, corpus, "--dry-run").code == 0  # the text is prepared
    place = tmp_path / "archive"
    place.mkdir()
    place.chmod(0o500)
    try:
        out = place / "run"
        result = tissu.as_ordinary_user("train", corpus, "--steps", "2", "--out", out, *FAST)
    finally:
        place.chmod(0o700)
    assert result.code == 4, result.err
    assert "ermission denied" in result.error[0] and str(place) in result.error[0]
    assert "--out" in result.error[2]
    assert not list(place.iterdir())


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="names of open files are in /proc")
def test_a_run_directory_that_takes_no_file_is_said_before_the_first_step(
    tissu: Tissu, corpus: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Quota: a directory can be made, and the first byte in it is refused."""
    fsync = os.fsync

    def refuse(descriptor: int) -> None:
        if "runs" in str(Path(f"/proc/self/fd/{descriptor}").readlink()):
            raise OSError(122, "Disk quota exceeded")
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", refuse)
    result = train_briefly(tissu, corpus)
    assert result.code == 4
    assert "disk quota exceeded" in result.error[0]
    assert not list((tissu.home / "runs").rglob("*.safetensors"))
