import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tissu_core.errors import InputError, IntegrityError, ResourceError, TissuError
from tissu_core.storage import (
    MANIFEST,
    is_sealed,
    read_json,
    read_manifest,
    remove_directory,
    remove_leftovers,
    sealed_directory,
    sha256_file,
    verify,
    write_json,
    write_text,
)


@pytest.fixture
def sealed(tmp_path: Path) -> Path:
    path = tmp_path / "sealed"
    with sealed_directory(path, {"kind": "test", "step": 7}) as temporary:
        (temporary / "a.bin").write_bytes(bytes(range(64)))
        (temporary / "b.txt").write_text("thread\n")
    return path


class Interruption(BaseException):
    """Like KeyboardInterrupt: no Exception."""


def write_half(path: Path, error: BaseException) -> None:
    with sealed_directory(path, {}) as temporary:
        (temporary / "a.bin").write_bytes(b"half")
        raise error


def flip(path: Path, position: int, bit: int) -> None:
    data = bytearray(path.read_bytes())
    data[position] ^= 1 << bit
    path.write_bytes(data)


def test_write_text_replaces_and_leaves_nothing_beside(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "file.txt"
    write_text(path, "old")
    write_text(path, "new ☂\nline")
    assert path.read_bytes() == "new ☂\nline".encode()
    assert [p.name for p in path.parent.iterdir()] == ["file.txt"]


def test_write_text_keeps_the_old_file_when_writing_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file.txt"
    write_text(path, "old")

    def fail(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(ResourceError, match="no space left"):
        write_text(path, "new")
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["file.txt"]


def test_write_text_keeps_the_old_file_until_the_new_one_is_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file.txt"
    write_text(path, "old")
    seen: list[str] = []
    monkeypatch.setattr(os, "fsync", lambda descriptor: seen.append(path.read_text()))
    write_text(path, "new")
    assert seen[0] == "old"
    assert path.read_text() == "new"


@pytest.mark.skipif(os.name != "posix", reason="open files cannot be replaced elsewhere")
def test_who_reads_while_it_is_written_reads_the_old_file_whole(tmp_path: Path) -> None:
    path = tmp_path / "file.txt"
    write_text(path, "old " * 9)
    with path.open() as reader:
        write_text(path, "new")
        assert reader.read() == "old " * 9


def test_json_round_trips_with_any_text(tmp_path: Path) -> None:
    value = {"name": "織物 🧵", "list": [1, 2.5, None], "inner": {"a": True}}
    write_json(tmp_path / "x.json", value)
    assert read_json(tmp_path / "x.json") == value


def test_json_holds_names_that_are_not_utf8(tmp_path: Path) -> None:
    value = {"path": os.fsdecode(b"caf\xe9.txt")}
    write_json(tmp_path / "x.json", value)
    assert read_json(tmp_path / "x.json") == value


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b"\xff\xfe", b"7"])
def test_read_json_refuses_what_is_no_object(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.json"
    path.write_bytes(content)
    with pytest.raises(IntegrityError, match=r"x\.json"):
        read_json(path)


def test_sealed_directory_has_files_facts_and_hashes(sealed: Path) -> None:
    manifest = verify(sealed)
    assert manifest["kind"] == "test"
    assert manifest["step"] == 7
    assert manifest["files"]["b.txt"]["num_bytes"] == 7
    assert manifest["files"]["a.bin"]["sha256"] == sha256_file(sealed / "a.bin")
    assert sorted(manifest["files"]) == ["a.bin", "b.txt"]


@pytest.mark.parametrize("error", [ValueError, Interruption, GeneratorExit])
def test_sealed_directory_is_absent_when_its_body_raises(
    tmp_path: Path, error: type[BaseException]
) -> None:
    with pytest.raises(error):
        write_half(tmp_path / "sealed", error())
    assert list(tmp_path.iterdir()) == []


def test_sealed_directory_keeps_the_one_before_when_its_body_raises(sealed: Path) -> None:
    with pytest.raises(ValueError, match="boom"):
        write_half(sealed, ValueError("boom"))
    assert verify(sealed)["step"] == 7
    assert [p.name for p in sealed.parent.iterdir() if p.name.startswith(".tmp")] == []


def test_sealed_directory_is_invisible_until_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "sealed"
    with sealed_directory(path, {}) as temporary:
        (temporary / "a.bin").write_bytes(b"x")
        assert not path.exists()
        assert not is_sealed(temporary)
    assert is_sealed(path)
    assert not temporary.exists()


def test_sealed_directory_replaces_the_one_before(sealed: Path) -> None:
    with sealed_directory(sealed, {"step": 8}) as temporary:
        (temporary / "c.bin").write_bytes(b"c")
    assert sorted(p.name for p in sealed.iterdir()) == ["c.bin", MANIFEST]
    assert verify(sealed)["step"] == 8


def test_verify_sees_every_flipped_bit(sealed: Path) -> None:
    for name in ("a.bin", "b.txt"):
        path = sealed / name
        for position in range(path.stat().st_size):
            for bit in (0, 3, 7):
                flip(path, position, bit)
                with pytest.raises(IntegrityError, match=name):
                    verify(sealed)
                flip(path, position, bit)
    verify(sealed)


def test_verify_sees_a_file_cut_short_grown_or_gone(sealed: Path) -> None:
    path = sealed / "a.bin"
    whole = path.read_bytes()
    for content in (whole[:-1], b"", whole + b"\0"):
        path.write_bytes(content)
        with pytest.raises(IntegrityError, match=r"a\.bin"):
            verify(sealed)
    path.unlink()
    with pytest.raises(IntegrityError, match=r"a\.bin"):
        verify(sealed)


def test_every_flipped_bit_of_the_manifest_is_an_error_with_an_answer(sealed: Path) -> None:
    manifest = sealed / MANIFEST
    for position in range(manifest.stat().st_size):
        for bit in range(8):
            flip(manifest, position, bit)
            with pytest.raises(TissuError):
                verify(sealed)
            flip(manifest, position, bit)
    verify(sealed)


def test_a_directory_of_format_1_which_had_no_seal_is_read(sealed: Path) -> None:
    manifest = json.loads((sealed / MANIFEST).read_text())
    del manifest["seal"]
    (sealed / MANIFEST).write_text(json.dumps({**manifest, "version": 1}))
    assert verify(sealed)["step"] == 7
    (sealed / MANIFEST).write_text(json.dumps(manifest))
    with pytest.raises(IntegrityError, match="seal"):
        verify(sealed)


def test_a_directory_that_cannot_move_in_leaves_the_one_before(
    sealed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rename = Path.rename

    def fail(source: Path, target: Path) -> None:
        if target == sealed and "old-" not in source.name:
            raise OSError(5, "Input/output error")
        rename(source, target)

    monkeypatch.setattr(Path, "rename", fail)
    with pytest.raises(ResourceError, match="input/output error"), sealed_directory(sealed, {}):
        pass
    assert verify(sealed)["step"] == 7
    assert [path.name for path in sealed.parent.iterdir()] == ["sealed"]


def test_under_the_lock_a_number_given_out_again_protects_nothing(tmp_path: Path) -> None:
    (tmp_path / f".tmp-{os.getppid()}-step-000001").mkdir()
    remove_leftovers(tmp_path)
    assert len(list(tmp_path.iterdir())) == 1
    remove_leftovers(tmp_path, is_locked=True)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "manifest",
    [
        {"version": 1},
        {"version": 1, "files": []},
        {"version": 1, "files": {"a.bin": {}}},
        {"version": 1, "files": {"a.bin": 7}},
        {"version": 1, "files": {"../a.bin": {"sha256": "0"}}},
    ],
)
def test_a_manifest_without_hashes_is_refused(sealed: Path, manifest: object) -> None:
    (sealed / MANIFEST).write_text(json.dumps(manifest))
    with pytest.raises(IntegrityError, match="names no files"):
        read_manifest(sealed)


def test_a_directory_without_manifest_was_never_saved(sealed: Path) -> None:
    (sealed / MANIFEST).unlink()
    assert not is_sealed(sealed)
    with pytest.raises(IntegrityError, match="never saved"):
        read_manifest(sealed)


def test_a_newer_format_is_refused_with_both_versions(sealed: Path) -> None:
    manifest = json.loads((sealed / MANIFEST).read_text())
    (sealed / MANIFEST).write_text(json.dumps({**manifest, "version": 9}))
    with pytest.raises(InputError, match=r"version 9.*up to 2") as caught:
        verify(sealed)
    assert "upgrade" in caught.value.hint


def test_remove_directory_takes_the_manifest_first(
    sealed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.rmtree", lambda *args, **kwargs: None)  # killed in between
    remove_directory(sealed)
    assert (sealed / "a.bin").exists()
    assert not is_sealed(sealed)


def test_remove_directory_of_nothing_does_nothing(tmp_path: Path) -> None:
    remove_directory(tmp_path / "none")
    assert list(tmp_path.iterdir()) == []


def test_leftovers_of_a_killed_process_are_removed_and_nothing_else(tmp_path: Path) -> None:
    ended = subprocess.Popen([sys.executable, "-S", "-c", ""])
    ended.wait()
    half = tmp_path / f".tmp-{ended.pid}-step-000001"
    half.mkdir()
    (half / "model.safetensors").write_bytes(b"half")
    (tmp_path / f".tmp-{ended.pid}-last.json").write_text("{")
    (tmp_path / "last.json").write_text("{}")
    (tmp_path / ".hidden").mkdir()
    remove_leftovers(tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == [".hidden", "last.json"]


def test_what_a_living_process_is_writing_is_no_leftover(tmp_path: Path) -> None:
    command = [sys.executable, "-S", "-c", "input()"]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as other:
        half = tmp_path / f".tmp-{other.pid}-0123abcd"
        half.mkdir()
        (half / "tokens.bin").write_bytes(b"half")
        remove_leftovers(tmp_path)
        is_kept = (half / "tokens.bin").exists()
        other.communicate(b"\n")
    assert is_kept
