"""BLEU and ROUGE are those of their packages, and Wilson's interval is the formula's."""

import math
import sys
from statistics import fmean

import pytest

from tissu_core.errors import InputError
from tissu_core.evals.suites.metrics import (
    bleu,
    bleu_counts,
    require_packages,
    rouge,
    sentence_bleu,
    wilson,
)

REPLIES = ["the cat sat on a mat", "ethay ogday unsray", "", "one two three four five"]
REFERENCES = [
    ["the cat sat on the mat", "a cat was on the mat"],
    ["ethay ogday unsray omehay"],
    ["nothing"],
    ["one two three four six"],
]


def test_bleu_is_sacrebleus() -> None:
    sacrebleu = pytest.importorskip("sacrebleu")
    first = [references[0] for references in REFERENCES]
    wanted = sacrebleu.corpus_bleu(REPLIES, [first]).score
    second = ["a cat was on the mat", None, None, None]
    several = sacrebleu.corpus_bleu(REPLIES, [first, second]).score
    none = sacrebleu.corpus_bleu([""], [["nothing"]]).score
    for replies, references, wanted in (
        (REPLIES, [[one] for one in first], sacrebleu.corpus_bleu(REPLIES, [first]).score),
        (REPLIES, REFERENCES, several),
        ([""], [["nothing"]], none),
    ):
        sums = bleu_counts(replies, references).sum(axis=1, keepdims=True)
        assert bleu(sums)[0] == wanted / 100
    assert several > 0 == none
    wanted = sacrebleu.sentence_bleu(REPLIES[0], REFERENCES[0]).score
    assert sentence_bleu(REPLIES[0], REFERENCES[0]) == wanted / 100


def test_rouge_is_rouge_scores() -> None:
    scorers = pytest.importorskip("rouge_score.rouge_scorer")
    scorer = scorers.RougeScorer(["rouge1", "rouge2", "rougeL"], use_stemmer=True)
    for reply, references in zip(REPLIES, REFERENCES, strict=True):
        found = rouge(reply, references)
        each = [scorer.score(reference, reply) for reference in references]
        for name, value in found.items():
            assert value == max(scores[name].fmeasure for scores in each)
    assert fmean(rouge(*pair)["rougeL"] for pair in zip(REPLIES, REFERENCES, strict=True)) > 0.3


@pytest.mark.parametrize(
    ("metric", "module", "package"),
    [
        ("bleu", "sacrebleu", "sacrebleu"),
        ("rouge", "rouge_score.rouge_scorer", "rouge-score"),
    ],
)
def test_a_missing_package_is_named(
    metric: str, module: str, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(InputError, match=package) as raised:
        require_packages(metric)  # type: ignore[arg-type]
    assert f"pip install {package}" in raised.value.hint
    assert f"pipx inject tissu {package}" in raised.value.hint


@pytest.mark.parametrize(("right", "number"), [(0, 10), (10, 10), (3, 10), (220, 400)])
def test_wilsons_bounds_are_where_the_test_just_fails(right: int, number: int) -> None:
    """Both bounds p satisfy |share - p| = z sqrt(p (1 - p) / n): that is their definition."""
    share = right / number
    for bound in wilson(right, number):
        deviation = 1.959963984540054 * math.sqrt(bound * (1 - bound) / number)
        assert abs(share - bound) == pytest.approx(deviation, abs=1e-7)
