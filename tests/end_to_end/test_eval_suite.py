"""``tissu eval suite`` and ``tissu train --eval-suite`` through the real command."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.end_to_end.conftest import FAST, Tissu, Trained

Copy = Callable[[], Trained]
CHOICES = """
about = "what a weaver counts"
metric = "choice"
choices = ["threads", "sails"]
[[items]]
id = "weaver"
prompt = "The weaver"
answer = "threads"
kind = "cloth"
[[items]]
id = "sailor"
prompt = "A sailor"
answer = "sails"
"""
WORDS = """
metric = "contains"
max_tokens = 6
[[items]]
id = "the"
prompt = "The weaver counted 9 threads.\\n"
answer = "the"
"""


@pytest.fixture
def files(tmp_path: Path) -> Path:
    (tmp_path / "mine.toml").write_text(CHOICES, "utf-8")
    (tmp_path / "words.toml").write_text(WORDS, "utf-8")
    return tmp_path


def test_suites_are_listed_the_own_ones_too(tissu: Tissu) -> None:
    own = tissu.home / "suites"
    own.mkdir(parents=True)
    (own / "mine.toml").write_text(CHOICES, "utf-8")
    (own / "broken.toml").write_text('metric = "choise"\n', "utf-8")
    listed = tissu("eval", "suite")
    assert listed.code == 0 and "what a weaver counts" in listed.out
    found = {each["name"]: each for each in tissu("eval", "suite", "--json").json["suites"]}
    assert found["cloze"]["is_bundled"] and not found["mine"]["is_bundled"]
    assert found["mine"]["num_items"] == 2 and "broken.toml:1" in found["broken"]["problem"]
    assert {"arithmetic", "code", "common-sense", "pig-latin", "sentiment", "toy-summary"} <= {
        *found
    }


def test_a_model_is_asked_and_scored(trained_once: Trained, files: Path) -> None:
    tissu, mine, words = trained_once.tissu, files / "mine.toml", files / "words.toml"
    shown = tissu("eval", "suite", mine, words, "-m", "cloth", "--items")
    assert shown.code == 0, shown.err
    assert "chance 50 %" in shown.out and "the model's answer" in shown.out
    assert "words: asked as plain text" in shown.err
    asked = tissu("eval", "suite", mine, words, "-m", "cloth", "--items", "--json")
    records = [json.loads(line) for line in asked.out.splitlines()]
    assert [r["event"] for r in records] == [
        *["ItemScored", "ItemScored", "SuiteScored"],
        *["ItemScored", "SuiteScored"],
    ]
    item, score = records[0], records[2]
    assert item["choices"] == ["threads", "sails"] and len(item["likelihoods"]) == 2
    assert item["normalised"] == [
        nats / len(f" {choice}")
        for nats, choice in zip(item["likelihoods"], item["choices"], strict=True)
    ]
    assert score["suite"] == "mine" and score["chance"] == 0.5 and score["num_items"] == 2
    assert score["value"] == sum(r["value"] for r in records[:2]) / 2
    assert [kind["kind"] for kind in score["kinds"]] == ["cloth"]
    limited = tissu("eval", "suite", mine, "-m", "cloth", "--limit", "1", "--json")
    assert limited.json["num_items"] == 1


def test_what_is_wrong_is_named_with_its_line(trained_once: Trained, files: Path) -> None:
    tissu, bad = trained_once.tissu, files / "bad.toml"
    bad.write_text(CHOICES.replace('"sailor"', '"weaver"'), "utf-8")
    twice = tissu("eval", "suite", bad, "-m", "cloth")
    assert twice.code == 3
    assert f"{bad}:11 has the id 'weaver' again: line 6 has it" in twice.error[0]
    bad.write_text(CHOICES.replace('"choice"', '"blue"'), "utf-8")
    unknown = tissu("eval", "suite", bad, "-m", "cloth")
    assert unknown.code == 3 and f"{bad}:3 has the metric 'blue'" in unknown.error[0]
    assert "bleu" in unknown.error[2]
    typo = tissu("eval", "suite", "cloz", "-m", "cloth")
    assert typo.code == 3 and "did you mean cloze" in typo.error[2]
    assert tissu("eval", "suite", "cloze", "-m", "nobody").code == 3
    assert tissu("eval", "suite", files / "words.toml", "-m", "cloth", "--limit", "0").code == 2


def test_a_run_is_asked_after_each_save(tissu: Tissu, corpus: Path, files: Path) -> None:
    steps = ["--steps", "8", "--eval-every", "4", "--name", "asked"]
    asked = ["--eval-suite", files / "mine.toml", "--eval-suite", files / "words.toml"]
    result = tissu("train", corpus, *steps, *asked, *FAST)
    assert result.code == 0, result.err
    assert "mine" in result.err and "right (" in result.err
    lines = (tissu.home / "runs" / "asked" / "events.jsonl").read_text("utf-8").splitlines()
    records = [json.loads(line) for line in lines]
    kinds = ("CheckpointSaved", "EvalFinished", "SuiteScored")
    order = [(r["event"], r["step"]) for r in records if r["event"] in kinds]
    assert order == [
        (kind, step)
        for step in (4, 8)
        for kind in ("CheckpointSaved", "EvalFinished", "SuiteScored", "SuiteScored")
    ]
    assert {r["suite"] for r in records if r["event"] == "SuiteScored"} == {"mine", "words"}
    alone = tissu("eval", "suite", files / "mine.toml", "-m", "asked:8", "--json").json
    last = [r for r in records if r["event"] == "SuiteScored" and r["suite"] == "mine"][-1]
    assert last["figures"] == [[name, pytest.approx(v, rel=1e-4)] for name, v in alone["figures"]]


def test_asking_changes_nothing_of_what_is_learned(tissu: Tissu, corpus: Path, files: Path) -> None:
    steps = ["--steps", "6", "--eval-every", "3", *FAST]
    assert tissu("train", corpus, "--name", "plain", *steps).code == 0
    asked = ["--eval-suite", files / "words.toml", "--eval-suite", files / "mine.toml"]
    assert tissu("train", corpus, "--name", "asked", *steps, *asked).code == 0
    plain, other = (
        (tissu.home / "runs" / name / "model" / "model.safetensors").read_bytes()
        for name in ("plain", "asked")
    )
    assert plain == other


def test_an_unknown_suite_is_refused_before_anything_is_written(tissu: Tissu, corpus: Path) -> None:
    refused = tissu("train", corpus, "--steps", "2", "--eval-suite", "clozes", *FAST)
    assert refused.code == 3 and "there is no suite 'clozes'" in refused.error[0]
    assert "did you mean cloze" in refused.error[2]
    assert not (tissu.home / "runs").exists()
