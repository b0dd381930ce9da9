import os
from pathlib import Path

import pytest

from tissu_core.data import fingerprint
from tissu_core.data.fingerprint import Remembered, TextFile, corpus_key, iter_text_files
from tissu_core.data.sources import Skipped, iter_sources


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "corpus"
    path.mkdir()
    (path / "a.txt").write_text("one")
    (path / "b.txt").write_text("two")
    return path


def look(folder: Path, memory: Path) -> list[TextFile | Skipped]:
    return list(iter_text_files(iter_sources([str(folder)]), Remembered(memory)))


def key(folder: Path, settings: str = "") -> str:
    found = look(folder, folder.parent / "memory" / os.urandom(4).hex())
    return corpus_key([file for file in found if isinstance(file, TextFile)], settings)


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the files that are opened to be hashed."""
    names: list[str] = []
    check_text = fingerprint.check_text

    def counted(path: Path, tick: object) -> str:
        names.append(path.name)
        return check_text(path)

    monkeypatch.setattr(fingerprint, "check_text", counted)
    return names


def test_the_key_is_of_the_contents_not_of_the_times(folder: Path) -> None:
    before = key(folder)
    os.utime(folder / "a.txt", ns=(10**18, 10**18))
    assert key(folder) == before
    (folder / "a.txt").write_text("One")
    assert key(folder) != before
    (folder / "a.txt").write_text("one")
    assert key(folder) == before


def test_the_key_is_of_the_settings_and_of_the_order(folder: Path) -> None:
    before = key(folder)
    assert key(folder, "vocabulary 512") != before
    (folder / "a.txt").rename(folder / "c.txt")
    assert key(folder) != before


def test_the_key_does_not_depend_on_where_the_folder_is(folder: Path) -> None:
    before = key(folder)
    assert key(folder.rename(folder.with_name("moved"))) == before


def test_the_same_bytes_as_another_kind_of_file_are_another_corpus(folder: Path) -> None:
    before = key(folder)
    (folder / "b.txt").rename(folder / "b.jsonl")
    assert key(folder) != before


def test_a_file_is_read_once_in_its_life(folder: Path, reads: list[str]) -> None:
    memory = folder.parent / "files.json"
    first = look(folder, memory)
    assert reads == ["a.txt", "b.txt"]
    assert look(folder, memory) == first
    assert reads == ["a.txt", "b.txt"]
    (folder / "b.txt").write_text("changed")
    look(folder, memory)
    assert reads == ["a.txt", "b.txt", "b.txt"]


def test_what_is_no_text_is_remembered_too(folder: Path, reads: list[str]) -> None:
    memory = folder.parent / "files.json"
    (folder / "c.bin").write_bytes(b"\0\0\0")
    for _ in range(2):
        assert look(folder, memory)[2] == Skipped(folder / "c.bin", "binary")
    assert reads.count("c.bin") == 1


@pytest.mark.parametrize(
    "content",
    ["", "{", "[]", "7", '{"format": 1}', '{"format": 99, "files": {}}', '{"format":1,"files":[]}'],
)
def test_a_damaged_memory_is_only_slower(folder: Path, content: str) -> None:
    memory = folder.parent / "files.json"
    memory.write_text(content)
    assert [type(found) for found in look(folder, memory)] == [TextFile, TextFile]


def test_a_file_that_vanishes_is_skipped(folder: Path) -> None:
    sources = list(iter_sources([str(folder)]))
    (folder / "a.txt").unlink()
    found = list(iter_text_files(sources, Remembered(folder.parent / "files.json")))
    assert isinstance(found[0], Skipped)
    assert isinstance(found[1], TextFile)


def test_an_unreadable_file_is_skipped_and_not_remembered(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path, tick: object) -> str:
        raise PermissionError(13, "Permission denied")

    memory = folder.parent / "files.json"
    with monkeypatch.context() as patch:
        patch.setattr(fingerprint, "check_text", refuse)
        assert look(folder, memory)[0] == Skipped(folder / "a.txt", "permission denied")
    assert isinstance(look(folder, memory)[0], TextFile)
