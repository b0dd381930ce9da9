"""The passages that a model predicts worst, through the real command."""

import json
from pathlib import Path

import pytest

from tests.end_to_end.conftest import Trained, write_corpus
from tests.samples import STORY

GARBAGE = "#$%&@*+=<>|~^" * 8


@pytest.fixture
def planted(trained_once: Trained, tmp_path: Path) -> Path:
    """Text as the model knows it, in which one line is garbage."""
    folder = write_corpus(tmp_path / "text", documents=4, seed=3)
    path = folder / "text-02.txt"
    lines = path.read_text("utf-8").splitlines()
    path.write_text("\n".join([*lines[:40], GARBAGE, *lines[40:]]) + "\n", "utf-8")
    return folder


def test_a_planted_line_is_the_worst_passage(trained_once: Trained, planted: Path) -> None:
    options = [
        "eval",
        "errors",
        "--threads",
        "1",
        planted,
        "-m",
        "cloth",
        "--passage",
        "32",
        "--top",
        "5",
    ]
    found = trained_once.tissu(*options, "--json").json
    first, *others = found["passages"]
    assert Path(first["path"]).name == "text-02.txt" and first["line"] == 41
    assert {*"".join(first["tokens"])} <= {*GARBAGE, "\n"}
    assert first["bits_per_byte"] > 3 * others[-1]["bits_per_byte"]
    assert first["num_tokens"] == len(first["losses"]) == 32
    assert sum(first["losses"]) / 32 == pytest.approx(first["loss"])
    alone = trained_once.tissu(
        "eval", "ppl", "--threads", "1", planted, "-m", "cloth", "--json"
    ).json
    for name in ("bits_per_byte", "loss", "num_tokens", "num_documents", "stride"):
        assert found[name] == alone[name]


def test_a_line_is_that_of_the_file_where_a_file_is_many_documents(
    trained_once: Trained, planted: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tissu_core.data.documents.DOCUMENT_CHARACTERS", 500)
    options = ["eval", "errors", "--threads", "1", planted, "-m", "cloth", "--passage", "32"]
    first, *_ = trained_once.tissu(*options, "--json").json["passages"]
    assert (Path(first["path"]).name, first["line"]) == ("text-02.txt", 41)
    assert first["document"] > 1 and {*"".join(first["tokens"])} <= {*GARBAGE, "\n"}


def test_the_worst_are_those_of_a_full_sort_and_together_they_are_the_whole(
    trained_once: Trained, planted: Path
) -> None:
    options = ["eval", "errors", "--threads", "1", planted, "-m", "cloth", "--json"]
    few = trained_once.tissu(*options, "--top", "7").json
    every = trained_once.tissu(*options, "--top", "10000").json
    assert len(every["passages"]) == every["num_passages"] == few["num_passages"] > 30
    costs = [passage["bits_per_byte"] for passage in every["passages"]]
    assert costs == sorted(costs, reverse=True)
    assert few["passages"] == every["passages"][:7]
    assert sum(passage["num_bytes"] for passage in every["passages"]) == every["num_bytes"]
    for path in sorted(planted.iterdir()):
        own = [each for each in every["passages"] if each["path"] == str(path)]
        texts = ["".join(each["tokens"]) for each in sorted(own, key=lambda each: each["byte"])]
        assert "".join(texts) == path.read_text("utf-8")


def test_passages_are_written_as_lines(
    trained_once: Trained, planted: Path, tmp_path: Path
) -> None:
    out = tmp_path / "worst.jsonl"
    options = ["eval", "errors", "--threads", "1", planted, "-m", "cloth", "--top", "3", "-o", out]
    result = trained_once.tissu(*options, "--json")
    assert f"written: {out}" in result.err
    lines = [json.loads(line) for line in out.read_text("utf-8").splitlines()]
    for line, passage in zip(lines, result.json["passages"], strict=True):
        assert line == {"event": "PassageScored", **passage}
        assert len(line["tokens"]) == len(line["losses"])
    again = trained_once.tissu(*options)
    assert again.code == 2 and "is there already" in again.error[0]


def test_documents_of_json_lines_are_named_by_their_number(
    trained_once: Trained, tmp_path: Path
) -> None:
    path = tmp_path / "mixed.jsonl"
    texts = ["The weaver counted 2 threads.", GARBAGE, "The miller moved 31 sacks."] * 2
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts), "utf-8")
    options = ["eval", "errors", "--threads", "1", path, "-m", "cloth", "--passage", "4096"]
    passages = trained_once.tissu(*options, "--json").json["passages"]
    assert [passage["document"] for passage in passages[:2]] == [2, 5], "of equals the first"
    assert all(passage["line"] is None and passage["byte"] == 0 for passage in passages)
    drawn = trained_once.tissu(*options, "--top", "1").out
    assert "mixed.jsonl, text 2" in drawn and "text 5" not in drawn


def test_it_is_drawn_whole_without_colour_and_saved_with_it(
    trained_once: Trained, planted: Path, tmp_path: Path
) -> None:
    (planted / "odd.txt").write_text(f"{STORY}\x1b[2J\u202e 織物\n", "utf-8")
    svg = tmp_path / "worst.svg"
    options = [
        "eval",
        "errors",
        "--threads",
        "1",
        planted,
        "-m",
        "cloth",
        "--top",
        "40",
        "--svg",
        svg,
    ]
    result = trained_once.tissu(*options)
    assert result.code == 0, result.err
    assert "[[" in result.out and "bits: " in result.out
    assert "\x1b" not in result.out and "\u241b" in result.out
    assert "times the bits of a usual token" in result.out
    drawn = result.out.replace("\n", "").replace("[", "").replace("]", "")
    assert GARBAGE[:26] in drawn
    assert "#ff8a80" in svg.read_text("utf-8")
