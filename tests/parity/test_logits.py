"""Each logits processor and its twin in transformers."""

import pytest
import torch
from transformers import (
    MinPLogitsWarper,
    RepetitionPenaltyLogitsProcessor,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from tissu_core.config.decoding import DecodingConfig
from tissu_core.decoding.logits import (
    apply_temperature,
    build_processors,
    keep_min_p,
    keep_top_k,
    keep_top_p,
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


def test_all_processors_in_a_row_equal_those_of_transformers() -> None:
    config = DecodingConfig(
        repetition_penalty=1.2, temperature=0.7, top_k=60, top_p=0.9, min_p=0.02
    )
    rows = (
        RepetitionPenaltyLogitsProcessor(1.2),
        TemperatureLogitsWarper(0.7),
        TopKLogitsWarper(60),
        TopPLogitsWarper(0.9),
        MinPLogitsWarper(0.02),
    )
    history = torch.randint(300, (40,))
    ours = theirs = torch.randn(300) * 3
    for process in build_processors(config):
        ours = process(ours, history)
    for warp in rows:
        theirs = warp(history[None], theirs[None])[0]
    assert_same_distribution(ours, theirs)
    assert 0 < ours.isfinite().sum() < 60
