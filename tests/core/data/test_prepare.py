import codecs
import gzip
import json
import os
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from tests.samples import MIXED_TEXTS, STORY
from tissu_core.config.data import DataConfig
from tissu_core.data import prepare as prepare_module
from tissu_core.data.corpus import PreparationStoppedError
from tissu_core.data.prepare import choose_vocab_size, prepare
from tissu_core.data.shards import TokenShards
from tissu_core.errors import InputError, IntegrityError
from tissu_core.events.shared import FileSkipped, Noticed, StageAdvanced
from tissu_core.storage import verify
from tissu_core.text.tokenizer import Tokenizer

VOCAB_SIZE = 300


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "corpus"
    path.mkdir()
    (path / "story.txt").write_text(STORY, encoding="utf-8")
    return path


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def start(folder: Path, cache: Path, **changes: Any) -> Generator[Any, None, TokenShards]:
    data = DataConfig(corpus=(str(folder),))
    return prepare(data, changes.get("vocab_size", VOCAB_SIZE), cache, lambda: False)


def finish(run: Generator[Any, None, TokenShards]) -> tuple[list[Any], TokenShards]:
    events = []
    while True:
        try:
            events.append(next(run))
        except StopIteration as stop:
            return events, stop.value


def until_learning(run: Generator[Any, None, TokenShards]) -> None:
    """Every file was hashed and none is tokenised."""
    for event in run:
        if isinstance(event, StageAdvanced) and event.stage == "learning the vocabulary":
            return
    pytest.fail("the vocabulary is never learned")


def texts_of(shards: TokenShards) -> list[str]:
    tokenizer = Tokenizer.load(shards.directory)
    spans = shards.documents
    return [
        tokenizer.decode(shards.tokens[begin : begin + length].tolist())
        for begin, length in zip(spans.starts, spans.lengths, strict=True)
    ]


def names_in(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir()) if directory.is_dir() else []


def test_every_document_becomes_its_tokens(folder: Path, cache: Path) -> None:
    lines = "\n".join(json.dumps({"text": text}) for text in MIXED_TEXTS)
    (folder / "mixed.jsonl").write_text(lines)
    (folder / "packed.txt.gz").write_bytes(gzip.compress("織物 🧵".encode()))
    (folder / "wide.txt").write_bytes(codecs.BOM_UTF16_LE + "señor".encode("utf-16-le"))
    _, shards = finish(start(folder, cache))
    texts = [text for text in MIXED_TEXTS if text]
    assert texts_of(shards) == [*texts, "織物 🧵", STORY, "señor"]
    assert all(shards.tokens[begin] == 0 for begin in shards.documents.starts)
    assert shards.facts["num_documents"] == len(texts) + 3
    assert shards.facts["num_tokens"] == len(shards.tokens)
    assert shards.facts["text_bytes"] == sum(len(text.encode()) for text in texts_of(shards))
    assert shards.facts["vocab_size"] == VOCAB_SIZE
    verify(shards.directory)


def test_the_tokens_know_their_files(folder: Path, cache: Path) -> None:
    (folder / "a.txt").write_text("first")
    _, shards = finish(start(folder, cache))
    paths = json.loads((shards.directory / "sources.json").read_text())["paths"]
    assert paths == [str(folder / "a.txt"), str(folder / "story.txt")]
    assert names_in(shards.directory) == [
        "documents.bin",
        "sources.json",
        "tissu.json",
        "tokenizer.json",
        "tokenizer_config.json",
        "tokens.bin",
    ]


def test_the_second_time_nothing_is_done(
    folder: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, first = finish(start(folder, cache))
    os.utime(folder / "story.txt", ns=(10**18, 10**18))

    def refuse(*args: object, **kwargs: object) -> None:
        pytest.fail("work was done again")

    for name in ("sealed_directory", "iter_learning", "iter_corpus"):
        monkeypatch.setattr(prepare_module, name, refuse)
    events, again = finish(start(folder, cache))
    assert again.directory == first.directory
    assert any(isinstance(event, Noticed) and "at hand" in event.text for event in events)


def test_another_text_or_vocabulary_is_made_anew(folder: Path, cache: Path) -> None:
    _, first = finish(start(folder, cache))
    _, other = finish(start(folder, cache, vocab_size=310))
    (folder / "story.txt").write_text(STORY + ".", encoding="utf-8")
    _, changed = finish(start(folder, cache))
    assert len({shards.directory for shards in (first, other, changed)}) == 3
    assert texts_of(changed) == [STORY + "."]


def test_what_is_skipped_is_named(folder: Path, cache: Path) -> None:
    (folder / "photo.jpg").write_bytes(b"\xff\xd8\xff\xe0\0\0")
    (folder / "empty.txt").touch()
    (folder / "latin.txt").write_bytes("señor".encode("latin-1"))
    (folder / "broken.gz").write_bytes(gzip.compress(STORY.encode())[:40])
    events, shards = finish(start(folder, cache))
    reasons = {Path(e.path).name: e.reason for e in events if isinstance(e, FileSkipped)}
    assert reasons == {
        "broken.gz": "broken .gz",
        "empty.txt": "empty",
        "latin.txt": "not UTF-8 at byte 2",
        "photo.jpg": "binary",
    }
    assert shards.facts["num_documents"] == 1


def test_a_folder_without_text_is_an_input_error(tmp_path: Path, cache: Path) -> None:
    for content in (None, b"\0\1\2"):
        if content:
            (tmp_path / "a.bin").write_bytes(content)
        with pytest.raises(InputError, match="no text in"):
            finish(start(tmp_path, cache))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.txt", codecs.BOM_UTF8),
        ("a.txt.gz", gzip.compress(b"", mtime=0)),
        ("a.jsonl", b"\n\n"),
        ("a.jsonl", b'{"text": ""}\n' * 3),
    ],
    ids=["only a mark", "empty gz", "blank lines", "empty texts"],
)
def test_files_that_hold_no_letter_are_an_input_error(
    tmp_path: Path, cache: Path, name: str, content: bytes
) -> None:
    folder = tmp_path / "corpus"
    folder.mkdir()
    (folder / name).write_bytes(content)
    for _ in range(2):
        with pytest.raises(InputError):
            finish(start(folder, cache))


def test_one_bad_line_in_hundreds_is_skipped_and_noticed(folder: Path, cache: Path) -> None:
    lines = ['{"text": "good"}'] * 200
    lines[4] = "{"
    (folder / "a.jsonl").write_text("\n".join(lines))
    events, shards = finish(start(folder, cache))
    (notice,) = [event for event in events if isinstance(event, Noticed)]
    assert notice.level == "warning"
    assert notice.text.startswith("1 JSONL lines")
    assert notice.text.endswith("a.jsonl:5")
    assert shards.facts["num_documents"] == 200


def test_many_bad_lines_are_an_input_error_that_names_the_first(folder: Path, cache: Path) -> None:
    lines = ['{"text": "good"}'] * 100
    lines[7:10] = ["{"] * 3
    (folder / "a.jsonl").write_text("\n".join(lines))
    with pytest.raises(InputError, match=r"3 JSONL lines.*a\.jsonl:8"):
        finish(start(folder, cache))
    assert names_in(cache / "tokens") == []


def test_a_file_that_changes_while_it_is_read_is_an_integrity_error(
    folder: Path, cache: Path
) -> None:
    run = start(folder, cache)
    until_learning(run)
    (folder / "story.txt").write_text("another story")
    with pytest.raises(IntegrityError, match=r"story\.txt changed"):
        finish(run)
    assert names_in(cache / "tokens") == []


def test_a_file_that_goes_while_it_is_read_is_an_integrity_error(folder: Path, cache: Path) -> None:
    run = start(folder, cache)
    until_learning(run)
    (folder / "story.txt").unlink()
    with pytest.raises(IntegrityError, match=r"story\.txt changed"):
        finish(run)


def test_a_file_that_turns_binary_while_it_is_read_is_an_integrity_error(
    folder: Path, cache: Path
) -> None:
    run = start(folder, cache)
    until_learning(run)
    (folder / "story.txt").write_bytes(b"\0\1\2")
    with pytest.raises(IntegrityError, match=r"story\.txt changed"):
        finish(run)


@pytest.mark.parametrize("when", [0, 1, 2])  # while reading, learning, tokenising
def test_asking_to_stop_ends_it_and_leaves_nothing_half_made(
    folder: Path, cache: Path, when: int
) -> None:
    answers = iter([False] * when)
    data = DataConfig(corpus=(str(folder),))
    with pytest.raises(PreparationStoppedError):
        finish(prepare(data, VOCAB_SIZE, cache, lambda: next(answers, True)))
    assert names_in(cache / "tokens") == []


def test_leaving_it_in_the_middle_leaves_nothing_half_made(folder: Path, cache: Path) -> None:
    run = start(folder, cache)
    until_learning(run)
    assert names_in(cache / "tokens") != []
    run.close()
    assert names_in(cache / "tokens") == []


def test_a_name_that_is_not_utf8_is_read(folder: Path, cache: Path) -> None:
    try:
        (folder / os.fsdecode(b"caf\xe9.txt")).write_text("coffee")
    except (OSError, UnicodeError):
        pytest.skip("this file system has only UTF-8 names")
    _, shards = finish(start(folder, cache))
    assert texts_of(shards) == ["coffee", STORY]


def test_more_text_gets_a_larger_vocabulary() -> None:
    sizes = [choose_vocab_size(10**exponent) for exponent in range(13)]
    assert sizes == sorted(sizes)
    assert sizes[0] == 512
    assert sizes[5] == 1024
    assert sizes[7] == 2048
    assert sizes[-1] == 32_768


def test_a_stop_is_answered_inside_one_large_file(folder: Path, cache: Path) -> None:
    (folder / "large.txt").write_text(STORY * 6000, encoding="utf-8")
    asked = iter([False, False, True])
    data = DataConfig(corpus=(str(folder / "large.txt"),))
    with pytest.raises(PreparationStoppedError):
        list(prepare(data, VOCAB_SIZE, cache, lambda: next(asked)))
