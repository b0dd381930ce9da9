from pathlib import Path

import pytest

from tissu_core.checkpoint.store import CheckpointStore
from tissu_core.errors import InputError, IntegrityError, ResourceError
from tissu_core.storage import is_sealed, sealed


@pytest.fixture
def store(tmp_path: Path) -> CheckpointStore:
    return CheckpointStore(tmp_path / "run" / "checkpoints", keep=2)


def write(directory: Path) -> None:
    (directory / "model.safetensors").write_bytes(b"weights of " + directory.name.encode())


def save(store: CheckpointStore, *steps: int) -> None:
    for step in steps:
        store.save(step, write, {"step": step})


def damage(store: CheckpointStore, step: int) -> None:
    (store.path_of(step) / "model.safetensors").write_bytes(b"weights of nothing")


def test_saving_makes_a_sealed_directory_and_moves_last(store: CheckpointStore) -> None:
    saved = store.save(5, write, {"step": 5, "kind": "checkpoint"})
    assert saved.path == store.path_of(5)
    assert saved.path.name == "step-000005"
    assert is_sealed(saved.path)
    assert saved.num_bytes == (saved.path / "model.safetensors").stat().st_size
    assert store.pointed("last") == 5
    assert store.pointed("best") is None


def test_last_does_not_move_when_writing_fails(store: CheckpointStore) -> None:
    save(store, 1)

    def fail(directory: Path) -> None:
        write(directory)
        raise OSError(28, "disk full")

    with pytest.raises(ResourceError, match="disk full"):
        store.save(2, fail, {})
    assert store.pointed("last") == 1
    assert store.steps() == [1]


def test_last_moves_only_after_the_files_were_read_back(
    store: CheckpointStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(store, 1, 2)
    verify = sealed.verify

    def verify_on_a_bad_disk(directory: Path) -> object:
        (directory / "model.safetensors").write_bytes(b"weights of nothing")
        return verify(directory)

    monkeypatch.setattr(sealed, "verify", verify_on_a_bad_disk)
    with pytest.raises(ResourceError, match="gave back other bytes"):
        save(store, 3)
    assert store.pointed("last") == 2
    assert 3 not in store.steps()
    assert {1, 2} <= set(store.steps()), "an older one went before a newer one was verified"


@pytest.mark.parametrize("keep", [2, 3])
def test_the_newest_are_kept(tmp_path: Path, keep: int) -> None:
    store = CheckpointStore(tmp_path, keep=keep)
    save(store, 1, 2, 3, 4, 5)
    assert store.steps() == [1, 2, 3, 4, 5][-keep:]
    assert not store.path_of(1).exists()


def test_the_best_is_never_dropped(store: CheckpointStore) -> None:
    save(store, 10)
    store.point("best", 10, 1.25)
    save(store, 20, 30, 40)
    assert store.steps() == [10, 30, 40]
    assert store.best_score() == (10, 1.25)
    store.point("best", 40, 1.0)
    save(store, 50)
    assert store.steps() == [40, 50]


def test_the_last_is_never_dropped(store: CheckpointStore) -> None:
    save(store, 30, 40)
    save(store, 7)  # after a fallback, steps begin again below those on disk
    assert store.pointed("last") == 7
    assert 7 in store.steps()


def test_steps_are_ordered_as_numbers(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path, keep=5)
    save(store, 1_000_000, 999_999, 3)
    assert store.steps() == [3, 999_999, 1_000_000]


def test_an_unfinished_directory_is_no_checkpoint(store: CheckpointStore) -> None:
    save(store, 1)
    store.path_of(2).mkdir()
    write(store.path_of(2))
    assert store.steps() == [1]
    assert store.newest_verified(is_fallback_allowed=False) == store.path_of(1)


def test_a_copy_somebody_made_beside_the_checkpoints_is_left_alone(store: CheckpointStore) -> None:
    save(store, 1)
    copy = store.directory / "step-000001-copy"
    store.path_of(1).rename(copy)
    save(store, 2, 3, 4)
    assert store.steps() == [3, 4]
    assert is_sealed(copy)


def test_a_pointer_to_nothing_points_nowhere(store: CheckpointStore) -> None:
    save(store, 1)
    store.point("best", 99, 1.0)
    assert store.pointed("best") is None
    assert store.best_score() is None


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"step": null}', '{"step": "x"}'])
def test_a_damaged_pointer_points_nowhere(store: CheckpointStore, content: str) -> None:
    save(store, 1)
    (store.directory / "last.json").write_text(content)
    assert store.pointed("last") is None


def test_newest_verified_is_the_newest(store: CheckpointStore) -> None:
    save(store, 1, 2)
    assert store.newest_verified(is_fallback_allowed=False) == store.path_of(2)


def test_a_damaged_newest_is_an_error_that_names_the_next_good_one(store: CheckpointStore) -> None:
    save(store, 1)
    store.point("best", 1, 2.0)
    save(store, 2, 3)
    damage(store, 3)
    damage(store, 2)
    with pytest.raises(IntegrityError, match="step 3 is damaged, step 1 is good") as caught:
        store.newest_verified(is_fallback_allowed=False)
    assert str(store.path_of(1)) in caught.value.safe
    assert "--fallback" in caught.value.hint
    assert is_sealed(store.path_of(3)), "nothing is changed without being asked"


def test_fallback_takes_the_next_good_one_and_sets_the_damaged_aside(
    store: CheckpointStore,
) -> None:
    save(store, 1, 2)
    damage(store, 2)
    assert store.newest_verified(is_fallback_allowed=True) == store.path_of(1)
    assert store.steps() == [1]
    aside = store.directory / "damaged-step-000002"
    assert (aside / "model.safetensors").read_bytes() == b"weights of nothing"


def test_fallback_works_when_the_same_step_is_damaged_again(store: CheckpointStore) -> None:
    save(store, 1)
    for _ in range(2):
        save(store, 2)
        damage(store, 2)
        assert store.newest_verified(is_fallback_allowed=True) == store.path_of(1)


def test_all_damaged_says_so(store: CheckpointStore) -> None:
    save(store, 1, 2)
    damage(store, 1)
    damage(store, 2)
    with pytest.raises(IntegrityError, match="no older checkpoint is good"):
        store.newest_verified(is_fallback_allowed=False)
    with pytest.raises(IntegrityError, match="no older checkpoint is good"):
        store.newest_verified(is_fallback_allowed=True)
    assert store.steps() == [1, 2], "none is set aside when there is nothing to go on from"


def test_an_empty_store_says_so(store: CheckpointStore) -> None:
    assert store.steps() == []
    with pytest.raises(InputError, match="no finished checkpoint"):
        store.newest_verified(is_fallback_allowed=False)
