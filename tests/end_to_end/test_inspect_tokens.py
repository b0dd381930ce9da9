"""Tokens that a model writes against those of its text, through the real command."""

import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.end_to_end.conftest import Trained
from tissu_core.text.tokenizer import Tokenizer

TOKENS = ["inspect", "tokens"]
SHORT = ["--samples", "3", "--max-tokens", "20"]


def test_counts_are_those_of_the_corpus_cached_or_not(trained_once: Trained) -> None:
    tissu = trained_once.tissu
    cached = tissu(*TOKENS, "cloth", *SHORT, "--json").json
    named = tissu(*TOKENS, "cloth", *SHORT, "--against", trained_once.corpus, "--json").json
    assert cached == named
    tokenizer = Tokenizer.load(trained_once.run / "model")
    counts: Counter[int] = Counter()
    for path in sorted(trained_once.corpus.iterdir()):
        counts.update(tokenizer.encode(path.read_text("utf-8")))
    assert named["corpus_tokens"] == counts.total()
    ids = [id for id, piece in enumerate(tokenizer.pieces) if piece]
    assert named["vocab_size"] == len(ids)
    assert named["never_in_corpus"] == sum(not counts[id] for id in ids)
    for share in [*named["overused"], *named["underused"]]:
        assert share["training"] == counts[share["id"]]
    assert named["generated"]["num_texts"] == 3
    assert named["generated"]["num_tokens"] <= 60
    other = tissu(*TOKENS, "cloth", *SHORT, "--seed", "7", "--json").json
    assert other["generated"] != named["generated"]


def test_a_text_against_itself_and_against_another(trained_once: Trained, tmp_path: Path) -> None:
    tissu, corpus = trained_once.tissu, trained_once.corpus
    same = tissu(*TOKENS, "--generated", corpus, "--against", corpus, "--json").json
    assert same["generated"]["divergence_bits"] == 0
    assert not (same["overused"] or same["underused"] or same["new"])
    written = tmp_path / "written.txt"
    written.write_text("The weaver counted zebras. " * 30)
    shown = tissu(*TOKENS, "--generated", written, "--svg", tmp_path / "use.svg")
    assert shown.code == 0 and "used too often" in shown.out and "' weaver'" in shown.out
    assert "generated, not in it" in shown.out
    assert max(map(len, shown.out.splitlines())) <= 100
    assert "never generated" in (tmp_path / "use.svg").read_text("utf-8").replace("&#160;", " ")
    odd = tissu(*TOKENS, "--generated", written, "--json").json
    assert odd["generated"]["repetition"] > 0.8 and odd["num_new"] >= 1
    assert odd["new"][0]["training"] == 0


def test_a_model_of_no_run_needs_a_corpus(trained_copy: Callable[[], Trained]) -> None:
    copy = trained_copy()
    folder = copy.run.parent.parent / "alone"
    shutil.copytree(copy.run / "model", folder)
    result = copy.tissu(*TOKENS, folder)
    assert result.code == 3 and "--against CORPUS" in result.error[2]
    shutil.rmtree(copy.tissu.home / "cache" / "tokens")
    gone = copy.tissu(*TOKENS, "cloth")
    assert gone.code == 3 and "are gone" in gone.error[0]


@pytest.mark.parametrize("text", ["", "T"])
def test_too_little_text_is_refused(trained_once: Trained, tmp_path: Path, text: str) -> None:
    path = tmp_path / "short.txt"
    path.write_text(text)
    result = trained_once.tissu(*TOKENS, "cloth", "--generated", path)
    assert result.code == 3
