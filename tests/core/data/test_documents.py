import codecs
import gzip
import hashlib
import json
from pathlib import Path

import pytest

from tests.samples import MIXED_TEXTS, STORY
from tissu_core.config.data import ReadingConfig
from tissu_core.data import characters, documents, json_lines
from tissu_core.data.characters import Note
from tissu_core.data.documents import iter_documents
from tissu_core.data.packed import NotTextError


def read(path: Path, **reading: str) -> tuple[list[str], list[int]]:
    bad: list[int] = []
    return list(iter_documents(path, ReadingConfig(**reading), bad.append)), bad


def check_text(path: Path, **reading: str) -> str:
    return documents.check_text(path, ReadingConfig(**reading))[0]


def notes_of(path: Path, **reading: str) -> dict[Note, int]:
    return dict(documents.check_text(path, ReadingConfig(**reading))[1])


def put(directory: Path, name: str, data: bytes) -> Path:
    path = directory / name
    path.write_bytes(data)
    return path


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(characters, "CHUNK_BYTES", 7)
    monkeypatch.setattr(documents, "DOCUMENT_CHARACTERS", 100)


def test_a_small_file_is_one_document(tmp_path: Path) -> None:
    path = put(tmp_path, "a.txt", STORY.encode())
    assert read(path) == ([STORY], [])
    assert check_text(path) == hashlib.sha256(STORY.encode()).hexdigest()


@pytest.mark.usefixtures("small_chunks")
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16-le", "utf-16-be"])
def test_characters_cut_between_chunks_are_whole(tmp_path: Path, encoding: str) -> None:
    mark = {"utf-16-le": codecs.BOM_UTF16_LE, "utf-16-be": codecs.BOM_UTF16_BE}
    text = "".join(MIXED_TEXTS).replace("\x00", "") * 2
    path = put(tmp_path, "a.txt", mark.get(encoding, b"") + text.encode(encoding))
    check_text(path)
    assert "".join(read(path)[0]) == text


@pytest.mark.usefixtures("small_chunks")
def test_a_long_file_is_cut_at_blank_lines_and_nothing_is_lost(tmp_path: Path) -> None:
    paragraphs = [f"Paragraph {number} of the cloth.\n\n" for number in range(40)]
    found, _ = read(put(tmp_path, "a.txt", "".join(paragraphs).encode()))
    assert "".join(found) == "".join(paragraphs)
    assert len(found) > 5
    assert all(50 <= len(text) <= 100 for text in found[:-1])
    assert all(text.endswith("\n\n") for text in found)


@pytest.mark.usefixtures("small_chunks")
@pytest.mark.parametrize(("unit", "mark"), [("a line\n", "\n"), ("word ", " ")])
def test_without_blank_lines_it_is_cut_at_lines_then_at_words(
    tmp_path: Path, unit: str, mark: str
) -> None:
    found, _ = read(put(tmp_path, "a.txt", (unit * 90).encode()))
    assert "".join(found) == unit * 90
    assert all(text.endswith(mark) for text in found)


@pytest.mark.usefixtures("small_chunks")
def test_a_blank_line_at_the_beginning_makes_no_tiny_document(tmp_path: Path) -> None:
    text = "Title\n\n" + "one long line of words\n" * 20
    found, _ = read(put(tmp_path, "a.txt", text.encode()))
    assert "".join(found) == text
    assert all(len(document) >= 50 for document in found[:-1])


@pytest.mark.usefixtures("small_chunks")
def test_one_endless_word_is_cut_anyway(tmp_path: Path) -> None:
    found, _ = read(put(tmp_path, "a.txt", b"x" * 250))
    assert list(map(len, found)) == [100, 100, 50]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"\x7fELF\x00\x01\x02", "binary"),
        (b"text, then \x00", "binary"),
        ("naïve".encode("latin-1"), "not UTF-8 at byte 2"),
        (b"abc\xff", "not UTF-8 at byte 3"),
        ("織".encode()[:2], "not UTF-8 at byte 0"),
        (b"\xed\xa0\x80", "not UTF-8 at byte 0"),
        (codecs.BOM_UTF16_LE + b"a\x00b", "not UTF-16-LE at byte"),
    ],
)
def test_what_is_no_text_says_why(tmp_path: Path, data: bytes, reason: str) -> None:
    path = put(tmp_path, "a.txt", data)
    with pytest.raises(NotTextError, match=reason):
        check_text(path)


@pytest.mark.usefixtures("small_chunks")
def test_the_place_of_a_bad_byte_is_exact_across_chunks(tmp_path: Path) -> None:
    path = put(tmp_path, "a.txt", b"123456\xe7\xb9x and more text")  # a sequence over a chunk's end
    with pytest.raises(NotTextError, match=r"at byte 6$"):
        check_text(path)


def test_json_lines_are_documents(tmp_path: Path) -> None:
    lines = [json.dumps({"text": text, "id": 1}) for text in ("one", "二\n\nlines", "🧵")]
    for ending in ("\n", "\r\n"):
        path = put(tmp_path, "a.jsonl", ending.join(lines).encode())
        assert read(path) == (["one", "二\n\nlines", "🧵"], [])
    path = put(tmp_path, "b.ndjson.gz", gzip.compress("\n".join(lines).encode()))
    assert read(path)[0] == ["one", "二\n\nlines", "🧵"]


@pytest.mark.usefixtures("small_chunks")
def test_json_lines_longer_than_a_chunk_are_whole(tmp_path: Path) -> None:
    texts = ["織" * 50, "word " * 20]
    data = "\n".join(json.dumps({"text": text}, ensure_ascii=False) for text in texts)
    assert read(put(tmp_path, "a.jsonl", data.encode())) == (texts, [])


def test_bad_json_lines_are_named_by_number_and_the_rest_is_read(tmp_path: Path) -> None:
    lines = [
        '{"text": "good"}',
        "{",
        "[1, 2]",
        '"text"',
        '{"body": "no text"}',
        '{"text": 5}',
        "",
        '{"text": ""}',
        '{"text": "\\ud800"}',
        "null",
        "[" * 100_000,
        '{"text": "last"}',
    ]
    path = put(tmp_path, "a.jsonl", "\n".join(lines).encode())
    assert read(path) == (["good", "last"], [2, 3, 4, 5, 6, 9, 10, 11])


def test_a_file_with_nothing_but_a_mark_has_no_documents(tmp_path: Path) -> None:
    assert read(put(tmp_path, "a.txt", codecs.BOM_UTF8)) == ([], [])


@pytest.mark.usefixtures("small_chunks")
def test_a_long_json_text_is_cut_like_any_other(tmp_path: Path) -> None:
    found, _ = read(put(tmp_path, "a.jsonl", json.dumps({"text": "word " * 90}).encode()))
    assert "".join(found) == "word " * 90
    assert max(map(len, found)) == 100


@pytest.mark.usefixtures("small_chunks")
def test_a_json_line_too_long_to_hold_is_a_bad_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = ['{"text": "one"}', json.dumps({"text": "x" * 89}), '{"text": "two"}']
    path = put(tmp_path, "a.jsonl", "\n".join(lines).encode())
    monkeypatch.setattr(json_lines, "LONGEST_LINE", 101)
    assert read(path)[1] == []
    monkeypatch.setattr(json_lines, "LONGEST_LINE", 100)
    assert read(path) == (["one", "two"], [2])


def test_json_texts_have_the_key_that_is_named(tmp_path: Path) -> None:
    path = put(tmp_path, "a.jsonl", b'{"body": "one", "text": "two"}\n{"text": "three"}')
    assert read(path, text_column="body") == (["one"], [2])


def test_a_file_of_chats_says_what_it_is(tmp_path: Path) -> None:
    path = put(tmp_path, "a.jsonl", b'{"messages": [{"role": "user", "content": "Hi"}]}\n')
    assert Note.CHATS in documents.check_text(path, ReadingConfig())[1]
    path = put(tmp_path, "b.jsonl", b'{"messages": [], "text": "Hi"}\n')
    assert not documents.check_text(path, ReadingConfig())[1]


@pytest.mark.parametrize(
    ("magic", "name"),
    [
        (b"%PDF-1.7\n", "PDF.*pdftotext"),
        (b"PK\x03\x04\x14\x00", "DOCX.*pandoc"),
        (b"{\\rtf1\\ansi", "RTF"),
        (b"\xd0\xcf\x11\xe0\xa1", "Office"),
    ],
)
def test_documents_of_other_programs_are_named(tmp_path: Path, magic: bytes, name: str) -> None:
    with pytest.raises(NotTextError, match=name):
        check_text(put(tmp_path, "a.txt", magic))


def test_a_named_encoding_reads_what_has_no_mark(tmp_path: Path) -> None:
    latin = put(tmp_path, "latin.txt", "señor".encode("latin-1"))
    assert read(latin, encoding="latin-1")[0] == ["señor"]
    marked = put(tmp_path, "marked.txt", codecs.BOM_UTF8 + "señor".encode())
    assert read(marked, encoding="latin-1")[0] == ["señor"]
    wide = put(tmp_path, "wide.txt", "señor".encode("utf-16-be"))
    assert read(wide, encoding="utf-16-be")[0] == ["señor"]
    with pytest.raises(NotTextError, match="binary"):
        check_text(put(tmp_path, "a.png", b"\x89PNG\r\n\x1a\n\0\0\0"), encoding="latin-1")


@pytest.mark.parametrize(
    ("mark", "encoding"),
    [
        (codecs.BOM_UTF16_LE, "utf-16-le"),
        (codecs.BOM_UTF16_BE, "utf-16-be"),
        (codecs.BOM_UTF32_LE, "utf-32-le"),
        (codecs.BOM_UTF32_BE, "utf-32-be"),
    ],
)
def test_wide_text_is_known_by_its_mark_and_said(
    tmp_path: Path, mark: bytes, encoding: str
) -> None:
    path = put(tmp_path, "a.txt", mark + STORY.encode(encoding))
    assert read(path)[0] == [STORY]
    assert notes_of(path) == {Note.MARKED: 1}


@pytest.mark.usefixtures("small_chunks")
def test_bad_bytes_are_replaced_and_counted_if_asked(tmp_path: Path) -> None:
    path = put(tmp_path, "a.txt", b"se\xf1or and se\xf1ora, cut \xe7\xb9")
    assert read(path, on_bad="replace")[0] == ["se\ufffdor and se\ufffdora, cut \ufffd"]
    assert notes_of(path, on_bad="replace") == {Note.REPLACED: 3}


def test_a_long_line_is_noted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(characters, "CHUNK_BYTES", 7)
    monkeypatch.setattr(documents, "DOCUMENT_CHARACTERS", 100)
    assert notes_of(put(tmp_path, "a.txt", b"short\n" + b"x" * 100 + b"\n")) == {}
    assert notes_of(put(tmp_path, "b.txt", b"short\n" + b"x" * 101 + b"\n")) == {Note.LONG_LINE: 1}
