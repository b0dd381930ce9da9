"""Corpora with something wrong in them, through the real command: exit code, what is said."""

import json
import os
import shutil
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.end_to_end.conftest import FAST, Result, Tissu, snapshot
from tissu_core.data import corpus as corpus_module
from tissu_core.data import prepare as prepare_module
from tissu_core.storage import read_manifest

POSIX = pytest.mark.skipif(os.name != "posix", reason="needs FIFOs and links")


def dry_run(tissu: Tissu, *corpus: str | Path) -> Result:
    """Everything up to the first step: the corpus is read, learned from and tokenised."""
    return tissu("train", *corpus, "--dry-run", *FAST)


def test_missing_folder_names_the_nearest(tissu: Tissu, corpus: Path) -> None:
    result = tissu("train", corpus.parent / "corpsu", *FAST)
    assert result.code == 3
    assert str(corpus) in result.error[2]
    assert not (tissu.home / "runs").exists()


def test_nothing_readable_says_what_was_seen_and_looked_for(tissu: Tissu, tmp_path: Path) -> None:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for name in "ab":
        (folder / f"{name}.png").write_bytes(b"\x89PNG\0")
    (folder / ".hidden").write_bytes(b"text")
    result = tissu("train", folder, *FAST)
    assert result.code == 3
    assert "no text" in result.error[0]
    assert "3 files and folders seen (2 binary, 1 hidden)" in result.error[0]
    assert ".parquet" in result.error[0]
    assert not (tissu.home / "runs").exists()


@pytest.mark.parametrize(
    ("text", "hint"),
    [("Few words.\n", "try: name more text"), ("Few words, and some of more. " * 2, "--context 8")],
)
def test_less_text_than_one_context(tissu: Tissu, tmp_path: Path, text: str, hint: str) -> None:
    (tmp_path / "short.txt").write_text(text, "utf-8")
    result = tissu("train", tmp_path / "short.txt", *FAST)
    assert result.code == 3
    assert "needs 33" in result.error[0]
    assert hint in result.error[2]


def fifo(path: Path) -> None:
    os.mkfifo(path)


def loop(path: Path) -> None:
    path.symlink_to(".", target_is_directory=True)


def link_out(path: Path) -> None:
    outside = path.parent.parent / "outside.txt"
    outside.write_text("not of this folder\n")
    path.symlink_to(outside)


def sock(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as end:
        here = os.open(path.parent, os.O_RDONLY)  # a socket's path has room for 108 bytes
        try:
            end.bind(f"/proc/self/fd/{here}/{path.name}")
        finally:
            os.close(here)


def link_to_device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def content(data: bytes) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(data)


@POSIX
@pytest.mark.parametrize(
    ("name", "make", "said"),
    [
        ("empty.txt", content(b""), "(empty)"),
        ("latin.txt", content("señor".encode("latin-1")), "latin.txt: byte 2"),
        ("photo.png", content(b"\x89PNG\0\0"), "(binary)"),
        ("paper.pdf", content(b"%PDF-1.7\n%\xff"), "pdftotext"),
        ("book.docx", content(b"PK\x03\x04\0\0"), "pandoc"),
        ("cut.txt.gz", content(b"\x1f\x8b\x08\0"), "broken .gz"),
        ("cut.txt.zst", content(b"\x28\xb5\x2f\xfd"), "broken .zst"),
        ("cut.parquet", content(b"PAR1"), "broken .parquet"),
        ("chats.jsonl", content(b'{"messages": []}\n'), "chats"),
        ("here", loop, "--follow-symlinks"),
        ("out.txt", link_out, "--follow-symlinks"),
        ("pipe", fifo, "not a regular file"),
        ("socket", sock, "not a regular file"),
        ("zero.txt", link_to_device, "--follow-symlinks"),
    ],
)
def test_what_cannot_be_read_is_skipped_by_name(
    tissu: Tissu, corpus: Path, name: str, make: Callable[[Path], object], said: str
) -> None:
    make(corpus / name)
    before = listing(corpus)
    result = dry_run(tissu, corpus)
    assert result.code == 0, result.err
    assert said in result.err
    assert listing(corpus) == before
    assert str(corpus / name) in " ".join(result.err.split())


def listing(folder: Path) -> dict[str, tuple[int, int, int]]:
    """Kind, size and time of everything in a folder: what no command may change."""
    found = {path: path.lstat() for path in folder.rglob("*")}
    return {str(path): (at.st_mode, at.st_size, at.st_mtime_ns) for path, at in found.items()}


@POSIX
def test_a_device_behind_a_link_is_never_opened(tissu: Tissu, corpus: Path) -> None:
    """/dev/zero has no end."""
    link_to_device(corpus / "zero.txt")
    result = tissu("train", corpus, "--follow-symlinks", "--dry-run", *FAST)
    assert result.code == 0, result.err
    assert f"(not a regular file): {corpus / 'zero.txt'}" in result.err


def test_links_are_followed_if_asked(tissu: Tissu, corpus: Path, tmp_path: Path) -> None:
    link_out(corpus / "out.txt")
    loop(corpus / "here")
    result = tissu("train", corpus, "--follow-symlinks", "--dry-run", *FAST)
    assert result.code == 0, result.err
    assert f"(read already): {corpus / 'here'}" in result.err
    assert "out.txt" not in result.err


@POSIX
def test_a_file_that_may_not_be_read_is_skipped(tissu: Tissu, corpus: Path) -> None:
    def run() -> tuple[int, str]:
        result = tissu.as_ordinary_user("train", corpus, "--dry-run", *FAST)
        return result.code, result.err

    for path in corpus.iterdir():
        path.chmod(0)
    code, said = run()
    assert code == 3
    assert "12 permission denied" in said
    for path in corpus.iterdir():
        path.chmod(0o600 if path.name != "text-00.txt" else 0)
    code, said = run()
    assert code == 0, said
    assert f"(permission denied): {corpus / 'text-00.txt'}" in said


Act = Callable[[], object]


@pytest.fixture
def after_reading(monkeypatch: pytest.MonkeyPatch) -> Callable[[Act], None]:
    """Does something between the reading of a corpus and its tokenising."""

    def at_that_point(act: Act) -> None:
        def iter_corpus(*arguments: object) -> object:
            monkeypatch.undo()
            act()
            return corpus_module.iter_corpus(*arguments)  # type: ignore[arg-type]

        monkeypatch.setattr(prepare_module, "iter_corpus", iter_corpus)

    return at_that_point


@pytest.mark.parametrize("how", ["changed", "cut", "deleted"])
def test_a_file_that_changes_while_it_is_read(
    tissu: Tissu,
    corpus: Path,
    after_reading: Callable[[Act], None],
    how: str,
) -> None:
    assert dry_run(tissu, corpus).code == 0
    before = snapshot(tissu.home / "cache" / "tokens")
    path = corpus / "text-05.txt"
    path.write_text(path.read_text("utf-8") + "More.\n", "utf-8")
    acts: dict[str, Act] = {
        "changed": lambda: path.write_text("Other words.\n", "utf-8"),
        "cut": lambda: os.truncate(path, 100),
        "deleted": path.unlink,
    }
    after_reading(acts[how])
    result = dry_run(tissu, corpus)
    assert result.code == 6
    assert f"{path} changed while the corpus was prepared" in result.error[0]
    assert snapshot(tissu.home / "cache" / "tokens") == before


def test_a_file_deleted_between_listing_and_reading_is_skipped(
    tissu: Tissu, corpus: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    walk = corpus_module.iter_sources
    monkeypatch.setattr(
        corpus_module,
        "iter_sources",
        lambda *given, **how: (
            (gone := list(walk(*given, **how)))
            and (corpus / "text-05.txt").unlink() is None
            and gone
        ),
    )
    result = dry_run(tissu, corpus)
    assert result.code == 0, result.err
    assert f"(no such file or directory): {corpus / 'text-05.txt'}" in result.err


def test_a_file_deleted_before_a_resume(tissu: Tissu, corpus: Path) -> None:
    assert tissu("train", corpus, "--name", "r", "--steps", "2", *FAST).code == 0
    (corpus / "text-05.txt").unlink()
    before = snapshot(tissu.home / "runs" / "r" / "checkpoints")
    result = tissu("train", "--resume", "r")
    assert result.code == 6
    assert "text-05.txt" in result.error[0]
    assert snapshot(tissu.home / "runs" / "r" / "checkpoints") == before


@pytest.mark.parametrize(("num_bad", "code"), [(1, 0), (3, 3)])
def test_malformed_json_lines(tissu: Tissu, tmp_path: Path, num_bad: int, code: int) -> None:
    path = tmp_path / "lines.jsonl"
    good = json.dumps({"text": "The weaver counted threads. " * 9})
    path.write_text("\n".join([good] * 100 + ['{"text": '] * num_bad + [good] * 100))
    result = dry_run(tissu, path)
    assert result.code == code
    assert f"first {path}:101" in " ".join(result.err.split())


def test_odd_names_are_read_and_shown_escaped(tissu: Tissu, corpus: Path) -> None:
    for name in ("new\nline.txt", "esc\x1b[31m.txt", os.fsdecode(b"caf\xe9.txt")):
        try:
            (corpus / name).write_text(f"The sailor mended {len(name)} sails.\n")
            (corpus / f"empty {name}").touch()
        except (OSError, UnicodeError):
            pytest.skip("this file system has only plain names")
    result = dry_run(tissu, corpus)
    assert result.code == 0, result.err
    assert "\x1b" not in result.err
    shown = result.err.replace("\n", "")
    assert "empty new\u240aline.txt" in shown
    assert "empty esc\u241b[31m.txt" in shown


def test_copies_and_overlapping_corpora_are_read_once(tissu: Tissu, corpus: Path) -> None:
    shutil.copy(corpus / "text-03.txt", corpus / "text-99.txt")
    result = dry_run(tissu, corpus, corpus / "text-00.txt", corpus)
    assert result.code == 0, result.err
    assert f"skipped 1 (a copy of a file read already): {corpus / 'text-99.txt'}" in result.err
    assert "skipped 2 (read already)" in result.err


@pytest.mark.slow
def test_two_hundred_thousand_files(tissu: Tissu, tmp_path: Path) -> None:
    for number in range(200_000):
        path = tmp_path / "many" / f"{number // 1000:03}" / f"{number}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"Thread {number}.\n")
    result = dry_run(tissu, tmp_path / "many")
    assert result.code == 0, result.err
    (tokens,) = (tissu.home / "cache" / "tokens").iterdir()
    assert read_manifest(tokens)["num_documents"] == 200_000
