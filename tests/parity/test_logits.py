"""Each logits processor and its twin in transformers."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import (
    MinNewTokensLengthLogitsProcessor,
    MinPLogitsWarper,
    NoBadWordsLogitsProcessor,
    NoRepeatNGramLogitsProcessor,
    RepetitionPenaltyLogitsProcessor,
    SequenceBiasLogitsProcessor,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from tissu_core.config.decoding import DecodingConfig
from tissu_core.decoding.bias import Bias, add_biases
from tissu_core.decoding.logits import (
    apply_temperature,
    build_processors,
    keep_min_p,
    keep_top_k,
    keep_top_p,
)
from tissu_core.decoding.penalties import (
    forbid_early_end,
    forbid_repeated_ngrams,
    penalize_repetition,
)

CASES = [
    *((keep_top_k, {"top_k": k}, TopKLogitsWarper(k)) for k in (1, 5, 100, 5000)),
    *((keep_top_p, {"top_p": p}, TopPLogitsWarper(p)) for p in (0.05, 0.5, 0.9, 0.999)),
    *((keep_min_p, {"min_p": p}, MinPLogitsWarper(p)) for p in (0.01, 0.2, 0.9)),
    *((apply_temperature, {"temperature": t}, TemperatureLogitsWarper(t)) for t in (0.3, 1.7)),
    *(
        (penalize_repetition, {"penalty": p}, RepetitionPenaltyLogitsProcessor(p))
        for p in (0.8, 1.5)
    ),
]


def assert_same_distribution(ours: torch.Tensor, theirs: torch.Tensor) -> None:
    """A constant added to all logits changes nothing that is drawn."""
    torch.testing.assert_close(ours.log_softmax(-1), theirs.log_softmax(-1))


@pytest.mark.parametrize(("ours", "setting", "theirs"), CASES)
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_processor_equals_that_of_transformers(ours, setting, theirs, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(300, generator=generator) * 3
    history = torch.randint(300, (40,), generator=generator)
    untouched = logits.clone()
    found = ours(logits, history, **setting)
    assert_same_distribution(found, theirs(history[None], logits.clone()[None])[0])
    assert torch.equal(logits, untouched), "a processor changed its input"


FEW = 8  # ids so few that sequences of them repeat
HISTORIES = st.lists(st.integers(0, FEW - 1), max_size=30)
SEQUENCES = st.lists(st.integers(0, FEW - 1), min_size=1, max_size=3).map(tuple)


def assert_equal_on(history: list[int], ours, theirs) -> None:
    ids = torch.tensor(history, dtype=torch.long)
    logits = torch.randn(FEW)
    torch.testing.assert_close(ours(logits, ids), theirs(ids[None], logits.clone()[None])[0])


@given(HISTORIES, st.dictionaries(SEQUENCES, st.floats(-9, 9), min_size=1))
def test_biases_equal_those_of_transformers(history, amounts) -> None:
    biases = [Bias(ids, amount) for ids, amount in amounts.items()]
    assert_equal_on(
        history,
        lambda logits, ids: add_biases(logits, ids, biases=biases),
        SequenceBiasLogitsProcessor([[[*ids], amount] for ids, amount in amounts.items()]),
    )


@given(HISTORIES, st.sets(SEQUENCES, min_size=1))
def test_bans_equal_those_of_transformers(history, banned) -> None:
    biases = [Bias(ids, -math.inf) for ids in banned]
    assert_equal_on(
        history,
        lambda logits, ids: add_biases(logits, ids, biases=biases),
        NoBadWordsLogitsProcessor([[*ids] for ids in banned], eos_token_id=FEW),
    )


@given(HISTORIES, st.integers(1, 5))
def test_forbidden_ngrams_equal_those_of_transformers(history, size) -> None:
    assert_equal_on(
        history,
        lambda logits, ids: forbid_repeated_ngrams(logits, ids, size=size),
        NoRepeatNGramLogitsProcessor(size),
    )


@given(HISTORIES, st.integers(0, 9), st.integers(0, 9), st.sets(st.integers(0, 7), min_size=1))
def test_the_earliest_end_equals_that_of_transformers(history, prompt, least, ends) -> None:
    prompt = min(prompt, len(history))
    assert_equal_on(
        history,
        lambda logits, ids: forbid_early_end(
            logits, ids, prompt_tokens=prompt, min_tokens=least, end_ids=torch.tensor([*ends])
        ),
        MinNewTokensLengthLogitsProcessor(prompt, least, [*ends]),
    )


@pytest.mark.parametrize("seed", range(5))
def test_all_processors_in_a_row_equal_those_of_transformers(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    history = torch.randint(300, (200,), generator=generator)
    ours = theirs = torch.randn(300, generator=generator) * 3
    last = int(history[-1])
    biases = [Bias((7,), 4.0), Bias((last, 8), 5.0), Bias((int(theirs.argmax()),), -math.inf)]
    ends = [int(id) for id in theirs.topk(3).indices]
    config = DecodingConfig(
        repetition_penalty=1.2,
        no_repeat_ngram=1,
        min_tokens=4,
        temperature=0.7,
        top_k=60,
        top_p=0.9,
        min_p=0.02,
    )
    rows = (
        SequenceBiasLogitsProcessor([[[*bias.ids], bias.amount] for bias in biases[:2]]),
        NoBadWordsLogitsProcessor([[*biases[2].ids]]),
        RepetitionPenaltyLogitsProcessor(1.2),
        NoRepeatNGramLogitsProcessor(1),
        MinNewTokensLengthLogitsProcessor(197, 4, ends),
        TemperatureLogitsWarper(0.7),
        TopKLogitsWarper(60),
        TopPLogitsWarper(0.9),
        MinPLogitsWarper(0.02),
    )
    for process in build_processors(config, prompt_tokens=197, biases=biases, end_ids=ends):
        ours = process(ours, history)
    for warp in rows:
        theirs = warp(history[None], theirs[None])[0]
    assert_same_distribution(ours, theirs)
    assert 0 < ours.isfinite().sum() < 60
