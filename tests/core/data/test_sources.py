import os
from pathlib import Path
from typing import Any

import pytest

from tissu_core.data.sources import SourceFile, iter_sources
from tissu_core.errors import InputError

POSIX = pytest.mark.skipif(os.name != "posix", reason="needs FIFOs and links")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "corpus"
    path.mkdir()
    (path / "a.txt").write_text("one")
    return path


def look(*corpus: Path, **filters: Any) -> tuple[list[str], dict[str, str]]:
    """Names read, and names skipped with their reasons."""
    read, skipped = [], {}
    for found in iter_sources([str(path) for path in corpus], **filters):
        if isinstance(found, SourceFile):
            read.append(found.path.name)
        else:
            skipped[found.path.name] = found.reason
    return read, skipped


def test_folders_are_walked_in_the_order_of_names(folder: Path) -> None:
    for name in ("c.txt", "B.txt", "b/z.txt", "b/deep/y.txt", "ä.txt"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("x")
    assert look(folder) == (["B.txt", "a.txt", "y.txt", "z.txt", "c.txt", "ä.txt"], {})


def test_files_and_folders_come_in_the_order_given(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "z.txt").write_text("x")
    assert look(tmp_path / "z.txt", folder)[0] == ["z.txt", "a.txt"]
    assert look(folder, tmp_path / "z.txt")[0] == ["a.txt", "z.txt"]


def test_hidden_files_and_folders_are_skipped_and_named(folder: Path) -> None:
    (folder / ".git").mkdir()
    (folder / ".git" / "config.txt").write_text("x")
    (folder / ".secret.txt").write_text("x")
    assert look(folder) == (["a.txt"], {".git": "hidden", ".secret.txt": "hidden"})


def test_a_hidden_folder_named_by_the_person_is_read(tmp_path: Path) -> None:
    (tmp_path / ".notes").mkdir()
    (tmp_path / ".notes" / "a.txt").write_text("x")
    assert look(tmp_path / ".notes") == (["a.txt"], {})


def test_dependency_folders_and_excluded_ones_are_not_entered(folder: Path) -> None:
    for name in ("node_modules", "__pycache__", "drafts", "kept"):
        (folder / name).mkdir()
        (folder / name / f"{name}.txt").write_text("x")
    read, skipped = look(folder, exclude=("drafts",))
    assert read == ["a.txt", "kept.txt"]
    assert set(skipped) == {"node_modules", "__pycache__", "drafts"}


def test_only_some_endings_are_read(folder: Path) -> None:
    (folder / "b.py").write_text("x")
    read, skipped = look(folder, only=(".py", ".md"))
    assert read == ["b.py"]
    assert skipped == {"a.txt": "not .py or .md"}


def test_an_empty_file_is_skipped(folder: Path) -> None:
    (folder / "b.txt").touch()
    assert look(folder) == (["a.txt"], {"b.txt": "empty"})


@POSIX
def test_a_fifo_is_skipped_without_hanging(folder: Path) -> None:
    os.mkfifo(folder / "pipe")
    assert look(folder) == (["a.txt"], {"pipe": "not a regular file"})
    assert look(folder / "pipe") == ([], {"pipe": "not a regular file"})


@POSIX
def test_links_stay_inside_the_folder(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "outside.txt").write_text("secret")
    (folder / "in.txt").symlink_to("a.txt")
    (folder / "out.txt").symlink_to(tmp_path / "outside.txt")
    (folder / "gone.txt").symlink_to("nothing")
    read, skipped = look(folder)
    assert read == ["a.txt"]
    assert skipped["in.txt"] == "read already"
    assert set(skipped) == {"in.txt", "out.txt", "gone.txt"}


@POSIX
def test_loops_of_links_end(folder: Path) -> None:
    (folder / "self").symlink_to("self")
    (folder / "ring1").symlink_to("ring2")
    (folder / "ring2").symlink_to("ring1")
    (folder / "up").symlink_to("..", target_is_directory=True)
    (folder / "here").symlink_to(".", target_is_directory=True)
    read, skipped = look(folder)
    assert read == ["a.txt"]
    assert set(skipped) == {"self", "ring1", "ring2", "up", "here"}


@POSIX
def test_links_are_followed_if_asked_and_loops_end(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "b.txt").write_text("two")
    (tmp_path / "c.txt").write_text("three")
    (folder / "c.txt").symlink_to(tmp_path / "c.txt")
    (folder / "gone").symlink_to("nothing")
    (folder / "here").symlink_to(".", target_is_directory=True)
    (folder / "out").symlink_to(tmp_path / "outside", target_is_directory=True)
    (tmp_path / "outside" / "back").symlink_to(folder, target_is_directory=True)
    read, skipped = look(folder, follow_symlinks=True)
    assert read == ["a.txt", "c.txt", "b.txt"]
    assert skipped == {
        "gone": "no such file or directory",
        "here": "read already",
        "back": "read already",
    }


def test_overlapping_folders_are_read_once(folder: Path) -> None:
    (folder / "sub").mkdir()
    (folder / "sub" / "b.txt").write_text("two")
    assert look(folder, folder / "sub") == (["a.txt", "b.txt"], {"sub": "read already"})
    assert look(folder / "sub", folder) == (["b.txt", "a.txt"], {"sub": "read already"})
    assert look(folder, folder / "a.txt") == (["a.txt", "b.txt"], {"a.txt": "read already"})


@pytest.mark.skipif(
    os.name != "posix" or os.geteuid() == 0, reason="needs a person whom permissions bind"
)
def test_a_folder_that_may_not_be_read_is_skipped(folder: Path) -> None:
    (folder / "closed").mkdir(mode=0)
    assert look(folder) == (["a.txt"], {"closed": "permission denied"})


def test_a_missing_path_is_answered_with_the_nearest_name(folder: Path) -> None:
    with pytest.raises(InputError, match="corpsu") as caught:
        list(iter_sources([str(folder.with_name("corpsu"))]))
    assert caught.value.hint == f"did you mean {folder}?"
    assert caught.value.code == 3


def test_a_missing_path_like_no_other_says_so(folder: Path) -> None:
    with pytest.raises(InputError) as caught:
        list(iter_sources([str(folder.with_name("xyzzy-123"))]))
    assert caught.value.hint == "check the path"


def test_a_missing_folder_on_the_way_is_no_crash(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no file or folder"):
        list(iter_sources([str(tmp_path / "none" / "a.txt")]))


def test_identity_changes_with_the_contents(folder: Path) -> None:
    def identity() -> tuple[int, ...]:
        (found,) = iter_sources([str(folder)])
        assert isinstance(found, SourceFile)
        return found.identity

    before = identity()
    assert identity() == before
    (folder / "a.txt").write_text("longer")
    assert identity() != before
