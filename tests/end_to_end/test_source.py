"""What of a text is memory, through the real command."""

import json
import random
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.conftest import Copy, Result, Tissu, environment

QUOTE = "The weaver counted 12 threads by the light of a lamp that nobody had lit"


_WITH_PEAK = """
import json, resource, sys
from tissu_cli.main import run
code = run(sys.argv[1:])
print(json.dumps({"code": code, "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss}))
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    draw = random.Random(1)
    (tmp_path / "texts" / "inner").mkdir(parents=True)
    for number in range(4):
        words = [f"word{draw.randrange(400)}" for _ in range(600)]
        text = " ".join(words[:300]) + ".\n\n" + " ".join(words[300:]) + "\n"
        (tmp_path / "texts" / "inner" / f"{number}.txt").write_text(text, "utf-8")
    (tmp_path / "texts" / "quote.txt").write_text(f"first line\n{QUOTE}\n", "utf-8")
    return tmp_path / "texts"


def source(tissu: Tissu, *arguments: str | Path, stdin: str | bytes = b"") -> Any:
    result = tissu("inspect", "source", *arguments, "--json", stdin=stdin)
    assert result.code == 0, result.err
    return result.json


def indexes(tissu: Tissu) -> list[str]:
    return sorted(path.name for path in (tissu.home / "cache" / "verbatim").iterdir())


def test_memory_and_invention_are_told_apart(tissu: Tissu, folder: Path) -> None:
    text = f"«Naïve» words before. {QUOTE}, and words behind."
    found = source(tissu, text, "--corpus", folder)
    (span,) = found["spans"]
    assert span["text"] == text[span["begin"] : span["end"]] == QUOTE
    assert (span["num_words"], span["num_bytes"], span["times"]) == (15, len(QUOTE), 1)
    (place,) = span["places"]
    assert place == {"path": str(folder / "quote.txt"), "text": 1, "line": 2}
    assert (found["num_words"], found["verbatim_words"], found["min_words"]) == (21, 15, 5)
    assert source(tissu, "-", "--corpus", folder, stdin=text.encode()) == found


def test_the_text_is_shown_with_brackets_and_nothing_of_it_is_lost(
    tissu: Tissu, folder: Path
) -> None:
    begin = "A line that is much longer than the terminal is wide, so that it must be broken: " * 3
    shown = tissu("inspect", "source", f"{begin}{QUOTE}\x1b[31m!", "--corpus", folder)
    assert shown.code == 0
    assert f"{begin}[1 {QUOTE}]␛[31m!" in shown.out
    assert "quote.txt:2" in shown.out and "verbatim  22% of this text: 15 of 67" in shown.out
    small = tissu("inspect", "source", f"x {QUOTE}", "--corpus", folder, "--min", "16")
    assert f"x {QUOTE}" in small.out and "0 spans of 16 words" in small.out


def test_the_corpus_of_a_run_is_looked_in_and_said_to_be_another_where_it_is(
    trained_copy: Copy, tmp_path: Path
) -> None:
    trained = trained_copy()
    tissu, corpus = trained.tissu, tmp_path / "own"
    line = (trained.corpus / "text-03.txt").read_text("utf-8").splitlines()[10]
    for which in ([], ["cloth"], [str(trained.run / "model")], ["cloth:40"]):
        found = source(tissu, line, *which)
        assert found["spans"][0]["text"] + "." == line
        assert found["corpus"] == [str(trained.corpus)]
    # The same run, whose text has changed since.
    shutil.copytree(trained.corpus, corpus)
    settings = trained.run / "config.toml"
    settings.write_text(settings.read_text("utf-8").replace(str(trained.corpus), str(corpus)))
    (corpus / "text-03.txt").write_text("Nothing of what was there is left.\n", "utf-8")
    changed = tissu("inspect", "source", "Nothing of what was there", "cloth")
    assert changed.code == 0 and "100% of this text" in changed.out
    assert "the text is no longer what cloth learned: " in changed.err
    shutil.rmtree(corpus)
    gone = tissu("inspect", "source", "Nothing of what was there", "cloth")
    assert gone.code == 3
    assert gone.error[0].endswith(f"the text that cloth learned is gone: {corpus}")


def test_a_stale_index_is_told_and_made_again(tissu: Tissu, folder: Path) -> None:
    def look(text: str) -> Result:
        result = tissu("inspect", "source", text, "--corpus", folder)
        assert result.code == 0, result.err
        return result

    first = look(QUOTE)
    assert "an index of this text is made, once" in first.err
    (made,) = indexes(tissu)
    assert "index" not in look(QUOTE).err
    newer = "Something else entirely stands here by now"
    (folder / "quote.txt").write_text(newer + "\n", "utf-8")
    changed = look(newer)
    assert "the text changed since its index was made: it is made again" in changed.err
    assert "100% of this text" in changed.out
    assert "0% of this text" in look(QUOTE).out
    (now,) = indexes(tissu)
    assert now != made
    # Moved as it is, the index holds, and the places are the new ones.
    moved = folder.with_name("moved")
    folder.rename(moved)
    found = source(tissu, newer, "--corpus", moved)
    assert found["spans"][0]["places"][0]["path"] == str(moved / "quote.txt")
    assert indexes(tissu) == [now]


def test_bad_input_has_an_answer(tissu: Tissu, folder: Path, tmp_path: Path) -> None:
    def refused(*arguments: str | Path, stdin: bytes = b"") -> Result:
        result = tissu("inspect", "source", *arguments, stdin=stdin)
        assert result.code == 3, (result.out, result.err)
        return result

    where = ["--corpus", folder]
    assert refused("", *where).error[0] == (
        "error: the text has 0 words, and what is looked for has 5 or more"
    )
    assert refused("... --- ...", *where).error[2] == "try: give a text with words"
    assert refused("three words only", *where).error[2] == "try: --min 3"
    assert "not UTF-8 at byte 4" in refused("-", *where, stdin=b"good\xff\xfe").error[0]
    assert "no file or folder" in refused(QUOTE, "--corpus", tmp_path / "nowhere").error[0]
    assert "--corpus DIR" in refused(QUOTE).error[2]
    (tmp_path / "signs").mkdir()
    (tmp_path / "signs" / "a.txt").write_text("... !!!\n", "utf-8")
    assert "no word of text" in refused(QUOTE, "--corpus", tmp_path / "signs").error[0]
    assert indexes(tissu) == []


def test_a_model_of_no_run_has_no_text(trained_copy: Copy, tmp_path: Path) -> None:
    trained = trained_copy()
    shutil.copytree(trained.run / "model", tmp_path / "model")
    refused = trained.tissu("inspect", "source", QUOTE, tmp_path / "model")
    assert refused.code == 3
    assert "is of no run" in refused.error[0] and "--corpus DIR" in refused.error[2]


def test_a_damaged_index_is_told(tissu: Tissu, folder: Path) -> None:
    source(tissu, QUOTE, "--corpus", folder)
    (name,) = indexes(tissu)
    directory = tissu.home / "cache" / "verbatim" / name
    with (directory / "suffixes.bin").open("r+b") as file:
        file.truncate(100)
    refused = tissu("inspect", "source", QUOTE, "--corpus", folder)
    assert refused.code == 6 and refused.error[2].startswith(f"try: remove {directory}")
    shutil.rmtree(directory)
    assert source(tissu, QUOTE, "--corpus", folder)["verbatim_words"] == 15


def test_a_long_text_is_drawn_in_part_and_found_whole(tissu: Tissu, folder: Path) -> None:
    pages = [path.read_text("utf-8") for path in sorted(folder.rglob("*.txt"))]
    text = " nothing of this kind anywhere ".join(pages * 4)
    shown = tissu("inspect", "source", "-", "--corpus", folder, stdin=text)
    assert shown.code == 0 and "more characters" in shown.out
    assert len(shown.out) < 40_000
    found = source(tissu, "-", "--corpus", folder, stdin=text)
    assert [span["text"] for span in found["spans"]] == [
        page.strip(" .\n") for page in (pages * 4) if len(page.split()) >= 5
    ]


@pytest.mark.slow
def test_memory_is_bounded_however_large_the_corpus(tissu: Tissu, tmp_path: Path) -> None:
    draw, quote = random.Random(5), QUOTE.split()
    (tmp_path / "large").mkdir()
    vocabulary = [f"w{number:x}" for number in range(50_000)]
    for number in range(5):
        with (tmp_path / "large" / f"{number}.txt").open("w", encoding="utf-8") as file:
            for _ in range(900):
                file.write(" ".join(draw.choices(vocabulary, k=1000)) + "\n")
            file.write(" ".join(quote[: 5 + 2 * number]) + "\n")
    arguments = ["inspect", "source", QUOTE, "--corpus", str(tmp_path / "large"), "--json"]
    # A process begins with the peak of the one that started it: here a small one between.
    start = "import subprocess as s, sys; sys.exit(s.call([sys.executable, *sys.argv[1:]]))"
    done = subprocess.run(
        [sys.executable, "-c", start, "-c", _WITH_PEAK, *arguments],
        capture_output=True,
        text=True,
        env=environment(tissu.home),
        check=True,
    )
    found, use = map(json.loads, done.stdout.splitlines())
    (span,) = found["spans"]
    assert (span["num_words"], use["code"]) == (13, 0)
    assert use["peak"] < 600 << 10
