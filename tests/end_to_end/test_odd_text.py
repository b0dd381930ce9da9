"""Text in odd encodings and in odd lines, through real commands."""

import codecs
import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.end_to_end.conftest import FAST, Tissu, environment
from tests.end_to_end.test_bad_data import POSIX, dry_run


def test_the_place_of_a_bad_byte_is_in_the_events(tissu: Tissu, corpus: Path) -> None:
    (corpus / "bad.txt").write_bytes(b"a" * 70 + b"\xff")
    result = tissu("train", corpus, "--view", "json", "--dry-run", *FAST)
    (skip,) = [e for e in map(json.loads, result.out.splitlines()) if e["event"] == "FileSkipped"]
    assert skip["reason"] == "not UTF-8 at byte 70"


def test_much_text_of_another_encoding_is_an_error_with_three_ways_out(
    tissu: Tissu, corpus: Path
) -> None:
    bad = corpus / "latin.txt"
    bad.write_bytes("El señor contó los hilos. ".encode("latin-1") * 1000)
    result = dry_run(tissu, corpus)
    assert result.code == 3
    assert f"{bad} is not UTF-8 at byte 5" in result.error[0]
    assert "--encoding" in result.error[2]
    assert tissu("train", corpus, "--encoding", "latin-1", "--dry-run", *FAST).code == 0
    replaced = tissu("train", corpus, "--on-bad", "replace", "--dry-run", *FAST)
    assert replaced.code == 0
    assert "2,000 characters that could not be decoded became U+FFFD" in replaced.err
    allowed = ["--set", "data.reading.max_undecodable=1"]
    assert tissu("train", corpus, *allowed, "--dry-run", *FAST).code == 0


def test_a_bad_byte_stops_if_asked(tissu: Tissu, corpus: Path) -> None:
    (corpus / "bad.txt").write_bytes(b"abc\xff")
    result = tissu("train", corpus, "--on-bad", "stop", "--dry-run", *FAST)
    assert result.code == 3
    assert f"{corpus / 'bad.txt'} is not UTF-8 at byte 3" in result.error[0]


def test_an_unknown_encoding_names_the_nearest(tissu: Tissu, corpus: Path) -> None:
    result = tissu("train", corpus, "--encoding", "latin-11", *FAST)
    assert result.code == 2
    assert "latin_1" in result.error[2]


@pytest.mark.parametrize(
    ("mark", "encoding"),
    [
        (codecs.BOM_UTF16_LE, "utf-16-le"),
        (codecs.BOM_UTF16_BE, "utf-16-be"),
        (codecs.BOM_UTF32_LE, "utf-32-le"),
        (codecs.BOM_UTF32_BE, "utf-32-be"),
        (codecs.BOM_UTF8, "utf-8"),
    ],
)
def test_text_with_a_mark_is_read_as_it_says(
    tissu: Tissu, tmp_path: Path, mark: bytes, encoding: str
) -> None:
    """The same text in any encoding makes the same vocabulary and number of tokens."""
    text = "The señor mended 織物. " * 40
    (tmp_path / "plain.txt").write_text(text, "utf-8")
    (tmp_path / "wide.txt").write_bytes(mark + text.encode(encoding))
    plain, wide = (
        tissu("tokenize", "train", tmp_path / f"{name}.txt", "-o", tmp_path / name)
        for name in ("plain", "wide")
    )
    assert (plain.code, wide.code) == (0, 0), wide.err
    same = [(tmp_path / name / "tokenizer.json").read_bytes() for name in ("plain", "wide")]
    assert same[0] == same[1]
    said = "1 files are UTF-16 or UTF-32 by their byte order mark"
    assert (said in wide.err) == (encoding != "utf-8")


def test_long_lines_are_said(tissu: Tissu, corpus: Path) -> None:
    (corpus / "line.txt").write_text("thread " * 160_000)
    result = dry_run(tissu, corpus)
    assert result.code == 0, result.err
    assert "1 files have a line of over a megabyte" in result.err


@pytest.mark.parametrize("character", "x 7-\n織")
def test_a_million_times_one_character(tissu: Tissu, corpus: Path, character: str) -> None:
    (corpus / "same.txt").write_text(character * 1_000_000, "utf-8")
    assert dry_run(tissu, corpus).code == 0


@pytest.mark.slow
@POSIX
def test_a_line_of_a_gigabyte_is_read_in_pieces(tissu: Tissu, tmp_path: Path) -> None:
    words = b"The weaver counted forty threads and moved the loom. " * 20_000
    with (tmp_path / "line.txt").open("wb") as file:
        for _ in range(2**30 // len(words)):
            file.write(words)
    program = (
        "import resource, sys\n"
        "from tissu_cli.main import run\n"
        "code = run(sys.argv[1:])\n"
        "for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN):\n"
        "    print(resource.getrusage(who).ru_maxrss, file=sys.stderr)\n"
        "sys.exit(code)\n"
    )
    command = ("tokenize", "train", tmp_path / "line.txt", "-o", tmp_path / "out")
    # A process begins with the peak of the one that started it: here a small one between.
    start = "import subprocess as s, sys; sys.exit(s.call([sys.executable, *sys.argv[1:]]))"
    done = subprocess.run(
        [sys.executable, "-c", start, "-c", program, *map(str, command)],
        env=environment(tissu.home),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "a line of over a megabyte" in done.stderr
    assert max(map(int, done.stderr.split()[-2:])) <= 512 << 10
