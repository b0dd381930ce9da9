import os
from pathlib import Path

import pytest

from tissu_core.checkpoint.store import CheckpointStore
from tissu_core.errors import InputError
from tissu_core.runs.chat.follow_model import newest_checkpoint
from tissu_core.runs.run_directory import step_of, writing
from tissu_core.storage import sealed_directory


@pytest.fixture
def run(own_home: Path) -> Path:
    run = own_home / "runs" / "cloth"
    run.mkdir(parents=True)
    (run / "config.toml").write_text("")
    return run


def save(run: Path, step: int, *, is_best: bool = False) -> Path:
    store = CheckpointStore(run / "checkpoints", keep=5)
    store.save(step, lambda path: (path / "weights").write_bytes(b"w") and None, {"step": step})
    if is_best:
        store.point("best", step, 1.0)
    os.utime(store.directory / "last.json", (step, step))
    return store.path_of(step)


def finish(run: Path, step: int, at: int) -> Path:
    with sealed_directory(run / "model", {"step": step}) as path:
        (path / "weights").write_bytes(b"w")
    os.utime(run / "model" / "tissu.json", (at, at))
    return run / "model"


def test_the_last_checkpoint_counts_and_not_the_best(run: Path) -> None:
    save(run, 10, is_best=True)
    last = save(run, 20)
    assert newest_checkpoint("cloth") == (last, 20)
    assert newest_checkpoint(str(run)) == newest_checkpoint("last") == newest_checkpoint("cloth")


def test_a_finished_run_has_its_model(run: Path) -> None:
    save(run, 10, is_best=True)
    last = save(run, 20)
    model = finish(run, step=10, at=30)
    assert newest_checkpoint("cloth") == (model, 10)
    with writing(run):
        assert newest_checkpoint("cloth") == (last, 20), "it trains on"
    resumed = save(run, 40)
    assert newest_checkpoint("cloth") == (resumed, 40), "it trained on, and was stopped"
    assert step_of(resumed) == 40


def test_what_is_not_there_is_said(run: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no finished checkpoint yet"):
        newest_checkpoint("cloth")
    with pytest.raises(InputError, match="there is no run 'clot'") as caught:
        newest_checkpoint("clot")
    assert "cloth" in caught.value.hint
    assert step_of(tmp_path) is None
