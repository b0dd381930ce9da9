"""What of an evaluation stands in the training text, through the real command."""

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.conftest import Tissu, Trained
from tissu_core.errors import ConfigError
from tissu_core.evals.suites import scoring

PLANTED = (3, 8, 21)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    draw = random.Random(2)
    (tmp_path / "corpus").mkdir()
    for number in range(4):
        lines = [" ".join(f"w{draw.randrange(900)}" for _ in range(15)) for _ in range(60)]
        (tmp_path / "corpus" / f"{number}.txt").write_text("\n".join(lines) + "\n", "utf-8")
    return tmp_path / "corpus"


@pytest.fixture
def evaluation(folder: Path, tmp_path: Path) -> Path:
    """Thirty documents, of which three quote a line: otherwise written, and over a line's end."""
    draw = random.Random(6)
    lines = (folder / "2.txt").read_text("utf-8").splitlines()
    texts = []
    for number in range(30):
        words = [f"w{draw.randrange(900)}" for _ in range(40)]
        if number in PLANTED:
            quote = [*lines[number].split()[-6:], *lines[number + 1].split()[:7]]
            words[10:10] = [f"«{word.upper()}»," for word in quote]
        elif number % 2:
            words[10:10] = lines[number].split()[:12]  # one word too few
        texts.append(json.dumps({"text": " ".join(words)}) + "\n")
    (tmp_path / "held.jsonl").write_text("".join(texts), "utf-8")
    return tmp_path / "held.jsonl"


def leaks(tissu: Tissu, *arguments: str | Path) -> Any:
    result = tissu("eval", "leaks", *arguments, "--json")
    assert result.code == 0, result.err
    return result.json


def test_all_planted_items_are_found_and_none_else(
    tissu: Tissu, folder: Path, evaluation: Path
) -> None:
    found = leaks(tissu, evaluation, "--corpus", folder)
    (counts,) = found["sources"]
    assert (counts["num_items"], counts["num_short"], counts["num_leaked"]) == (30, 0, 3)
    assert [each["item"] for each in found["leaked"]] == [
        f"held.jsonl:{number + 1}" for number in PLANTED
    ]
    lines = (folder / "2.txt").read_text("utf-8").splitlines()
    for number, each in zip(PLANTED, found["leaked"], strict=True):
        assert each["place"] == {"path": str(folder / "2.txt"), "text": 1, "line": number + 1}
        assert each["ngram"].split() == [
            *lines[number].split()[-6:],
            *lines[number + 1].split()[:7],
        ]
        assert (each["leaked_ngrams"], each["num_ngrams"]) == (1, 41)
    # A word less, and those that lacked one are leaks as well.
    shorter = leaks(tissu, evaluation, "--corpus", folder, "--ngram", "12")
    odd = {number for number in range(30) if number % 2}
    assert {int(each["item"].split(":")[1]) - 1 for each in shorter["leaked"]} == odd | {*PLANTED}


def test_text_is_scored_with_and_without_what_leaked(trained_once: Trained, tmp_path: Path) -> None:
    tissu, draw = trained_once.tissu, random.Random(4)
    known = (trained_once.corpus / "text-01.txt").read_text("utf-8").splitlines()
    fresh = [" ".join(f"x{draw.randrange(99)}" for _ in range(20)) for _ in range(4)]
    texts = [fresh[0], " ".join(known[:9]), *fresh[1:3], " ".join(known[20:30]), fresh[3]]
    for name, some in {"all": texts, "clean": fresh, "leaked": [texts[1], texts[4]]}.items():
        lines = (json.dumps({"text": text}) + "\n" for text in some)
        (tmp_path / f"{name}.jsonl").write_text("".join(lines), "utf-8")
    found = leaks(tissu, tmp_path / "all.jsonl", "-m", "cloth")
    (scores,) = found["sources"]
    assert found["corpus"] == [str(trained_once.corpus)]
    assert [each["item"] for each in found["leaked"]] == ["all.jsonl:2", "all.jsonl:5"]
    for name, key in {"all": "score", "clean": "score_clean", "leaked": "score_leaked"}.items():
        measured = tissu("eval", "ppl", tmp_path / f"{name}.jsonl", "-m", "cloth", "--json").json
        assert scores[key] == pytest.approx(measured["bits_per_byte"], rel=1e-6)
    assert scores["metric"] == "bits/byte" and scores["score_leaked"] < scores["score_clean"]
    none = leaks(tissu, tmp_path / "all.jsonl", "-m", "cloth", "--no-scores")
    assert none["sources"][0]["score"] is None and none["model"] == ""


def test_a_suite_is_scored_with_and_without_what_leaked(
    trained_once: Trained, tmp_path: Path
) -> None:
    stem = "Under the red sail it began to"
    items = "".join(
        f'[[items]]\nid = "{name}"\nprompt = "{prompt}"\n'
        'choices = ["rain", "bake"]\nanswer = "rain"\n'
        for name, prompt in {"a": f"{stem}", "b": stem.replace("it", "she"), "c": "Now"}.items()
    )
    suite = tmp_path / "own.toml"
    suite.write_text(f'about = "weather"\nmetric = "choice"\n{items}', "utf-8")
    (tmp_path / "corpus").mkdir()
    (tmp_path / "corpus" / "a.txt").write_text(f"x y z\n{stem} Rain; and so on", "utf-8")
    where = ["--corpus", tmp_path / "corpus", "-m", "cloth"]
    found = leaks(trained_once.tissu, suite, *where)
    (counts,) = found["sources"]
    assert (counts["num_items"], counts["num_short"], counts["num_leaked"]) == (3, 1, 1)
    (leaked,) = found["leaked"]
    assert (leaked["item"], leaked["ngram"]) == ("a", f"{stem} rain".lower())
    assert counts["metric"] == "choice"
    parts = (2 * counts["score_clean"] + counts["score_leaked"]) / 3
    assert counts["score"] == pytest.approx(parts)


def test_the_model_that_is_named_is_scored_or_missed(
    trained_once: Trained, evaluation: Path, folder: Path
) -> None:
    tissu, where = trained_once.tissu, ["--corpus", folder]
    typo = tissu("eval", "leaks", evaluation, *where, "-m", "clotth")
    assert typo.code == 3 and "clotth" in typo.error[0] and "cloth" in typo.error[2]
    step = leaks(tissu, evaluation, *where, "-m", "cloth:40")
    assert step["model"].endswith("step-000040") and step["sources"][0]["score"] > 0


def test_the_corpus_and_the_scores_are_of_one_run(
    trained_copy: Callable[[], Trained], evaluation: Path
) -> None:
    trained = trained_copy()
    begun = trained.run.with_name("begun")
    begun.mkdir()
    settings = (trained.run / "config.toml").read_text("utf-8")
    other = evaluation.parent / "other"
    other.mkdir()
    (other / "a.txt").write_text("Another text, which the first run has never seen.\n", "utf-8")
    (begun / "config.toml").write_text(settings.replace(str(trained.corpus), str(other)), "utf-8")
    found = leaks(trained.tissu, evaluation)
    assert "/cloth/" in found["model"] and found["corpus"] == [str(trained.corpus)]
    assert leaks(trained.tissu, evaluation, "--no-scores")["corpus"] == [str(other)]


CODE = """
metric = "code"
[[items]]
id = "one"
prompt = "def one():\\n"
tests = "assert one() == 1"
"""


def test_what_cannot_be_scored_is_said_and_searched(
    trained_once: Trained, evaluation: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    short, code = evaluation.with_name("letter.txt"), evaluation.with_name("code.toml")
    short.write_text("a", "utf-8")
    code.write_text(CODE, "utf-8")

    def no_walls(*, is_allowed: bool) -> None:
        raise ConfigError("generated code is not run here: no walls", field="", hint="")

    monkeypatch.setattr(scoring, "require_walls", no_walls)
    names = [short, code, evaluation]
    asked = ["eval", "leaks", *names, "--corpus", folder, "-m", "cloth", "--json"]
    result = trained_once.tissu(*asked)
    assert result.code == 0, result.err
    found = result.json
    assert [each["num_leaked"] for each in found["sources"]] == [0, 0, 3]
    assert [each["score"] is None for each in found["sources"]] == [True, True, False]
    assert f"{short} is not scored: {short} has 1 token of text" in result.err
    assert f"{code} is not scored: generated code is not run here" in result.err


def test_leaks_are_shown_in_the_room_there_is(tissu: Tissu, folder: Path, evaluation: Path) -> None:
    shown = tissu("eval", "leaks", evaluation, "--corpus", folder)
    assert shown.code == 0
    assert "3 (10.0%)" in shown.out and "2.txt:22" in shown.out
    assert all(len(line) <= 100 for line in shown.out.splitlines())


def test_bad_input_has_an_answer(tissu: Tissu, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "short.jsonl").write_text('{"text": "too few words"}\n', "utf-8")
    found = leaks(tissu, tmp_path / "short.jsonl", "--corpus", folder)
    assert (found["sources"][0]["num_short"], found["leaked"]) == (1, [])
    unknown = tissu("eval", "leaks", "arithmetik", "--corpus", folder)
    assert unknown.code == 3 and "arithmetic" in unknown.error[2]
    gone = tissu("eval", "leaks", tmp_path / "short.jsonl", "--corpus", tmp_path / "nowhere")
    assert gone.code == 3 and "no file or folder" in gone.error[0]
    nothing = tissu("eval", "leaks", tmp_path / "short.jsonl")
    assert nothing.code == 3 and "--corpus DIR" in nothing.error[2]
    assert tissu("eval", "leaks", tmp_path / "short.jsonl", "--ngram", "1").code == 2
