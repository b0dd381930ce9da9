import os
from collections import Counter
from pathlib import Path

import pytest

from tissu_core.config.data import ReadingConfig
from tissu_core.data import fingerprint
from tissu_core.data.characters import Note
from tissu_core.data.fingerprint import Remembered, TextFile, corpus_key, iter_text_files
from tissu_core.data.sources import Skipped, iter_sources


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "corpus"
    path.mkdir()
    (path / "a.txt").write_text("one")
    (path / "b.txt").write_text("two")
    return path


READING = ReadingConfig()


def look(folder: Path, memory: Path, reading: ReadingConfig = READING) -> list[TextFile | Skipped]:
    return list(iter_text_files(iter_sources([str(folder)]), reading, Remembered(memory)))


def key(folder: Path, settings: str = "", reading: ReadingConfig = READING) -> str:
    found = look(folder, folder.parent / "memory" / os.urandom(4).hex(), reading)
    return corpus_key([file for file in found if isinstance(file, TextFile)], settings)


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the files that are opened to be hashed."""
    names: list[str] = []
    check_text = fingerprint.check_text

    def counted(path: Path, reading: ReadingConfig, tick: object) -> tuple[str, Counter[Note]]:
        names.append(path.name)
        return check_text(path, reading)

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
    ["", "{", "[]", "7", '{"format": 2}', '{"format": 99, "files": {}}', '{"format":2,"files":[]}'],
)
def test_a_damaged_memory_is_only_slower(folder: Path, content: str) -> None:
    memory = folder.parent / "files.json"
    memory.write_text(content)
    assert [type(found) for found in look(folder, memory)] == [TextFile, TextFile]


def test_a_file_that_vanishes_is_skipped(folder: Path) -> None:
    sources = list(iter_sources([str(folder)]))
    (folder / "a.txt").unlink()
    found = list(iter_text_files(sources, READING, Remembered(folder.parent / "files.json")))
    assert isinstance(found[0], Skipped)
    assert isinstance(found[1], TextFile)


def test_an_unreadable_file_is_skipped_and_not_remembered(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path, reading: ReadingConfig, tick: object) -> str:
        raise PermissionError(13, "Permission denied")

    memory = folder.parent / "files.json"
    with monkeypatch.context() as patch:
        patch.setattr(fingerprint, "check_text", refuse)
        assert look(folder, memory)[0] == Skipped(folder / "a.txt", "permission denied")
    assert isinstance(look(folder, memory)[0], TextFile)


def test_how_files_are_read_is_in_the_key_and_in_the_memory(folder: Path) -> None:
    (folder / "a.txt").write_bytes("señor".encode("latin-1"))
    memory = folder.parent / "files.json"
    latin = ReadingConfig(encoding="latin-1")
    assert look(folder, memory)[0] == Skipped(folder / "a.txt", "not UTF-8 at byte 2", 5)
    assert look(folder, memory)[0] == Skipped(folder / "a.txt", "not UTF-8 at byte 2", 5)
    for reading in (latin, ReadingConfig(on_bad="replace")):
        assert isinstance(look(folder, memory, reading)[0], TextFile)
    (folder / "a.txt").write_bytes(b"plain")
    settings = (READING, latin, ReadingConfig(on_bad="replace"), ReadingConfig(text_column="body"))
    assert len({key(folder, reading=reading) for reading in settings}) == len(settings)
    assert key(folder, reading=ReadingConfig(on_bad="stop")) == key(folder)


def test_copies_are_read_once(folder: Path) -> None:
    (folder / "copy.txt").write_text("one")
    (folder / "copy.jsonl").write_text("one")  # the same bytes, but not the same text
    found = look(folder, folder.parent / "files.json")
    assert [type(one) for one in found] == [TextFile, TextFile, TextFile, Skipped]
    assert found[3] == Skipped(folder / "copy.txt", "a copy of a file read already")
    with_copy = key(folder)
    (folder / "copy.txt").unlink()
    assert key(folder) == with_copy


def test_notes_are_remembered(folder: Path) -> None:
    (folder / "a.txt").write_bytes(b"\xff\xfea\0")
    memory = folder.parent / "files.json"
    first, again = look(folder, memory)[0], look(folder, memory)[0]
    assert isinstance(first, TextFile)
    assert first == again
    assert first.notes == {Note.MARKED: 1}
