import math
from collections import Counter
from dataclasses import replace

import pytest
import torch

from tissu_core.config.decoding import DecodingConfig
from tissu_core.decoding.bias import Bias, add_biases
from tissu_core.decoding.logits import (
    LogitsProcessor,
    apply_temperature,
    build_processors,
    draw,
    keep_min_p,
    keep_top_k,
    keep_top_p,
    refuse_nothing_left,
)
from tissu_core.decoding.penalties import (
    forbid_early_end,
    forbid_repeated_ngrams,
    penalize_repetition,
    penalize_reply,
)
from tissu_core.errors import ConfigError

NONE_SEEN = torch.empty(0, dtype=torch.long)


def kept(logits: torch.Tensor) -> list[int]:
    return logits.isfinite().nonzero().flatten().tolist()


def of(*probabilities: float) -> torch.Tensor:
    return torch.tensor(probabilities).log()


def through(
    processors: list[LogitsProcessor], logits: torch.Tensor, history: torch.Tensor = NONE_SEEN
) -> torch.Tensor:
    for process in processors:
        logits = process(logits, history)
    return logits


def shape(logits: torch.Tensor, **settings: object) -> torch.Tensor:
    return through(build_processors(DecodingConfig(**settings)), logits)  # type: ignore[arg-type]


def test_top_k_keeps_the_largest_and_ties() -> None:
    logits = torch.tensor([1.0, 3.0, 2.0, 3.0, 0.0])
    assert kept(keep_top_k(logits, NONE_SEEN, top_k=1)) == [1, 3]
    assert kept(keep_top_k(logits, NONE_SEEN, top_k=3)) == [1, 2, 3]
    assert kept(keep_top_k(logits, NONE_SEEN, top_k=99)) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(
    ("top_p", "expected"), [(1e-6, [1]), (0.49, [1]), (0.51, [1, 3]), (0.81, [0, 1, 3])]
)
def test_top_p_keeps_the_fewest_that_reach_it(top_p: float, expected: list[int]) -> None:
    logits = of(0.15, 0.5, 0.05, 0.3)
    assert kept(keep_top_p(logits, NONE_SEEN, top_p=top_p)) == expected


@pytest.mark.parametrize(("min_p", "expected"), [(1.0, [1]), (0.5, [1, 3]), (0.2, [0, 1, 3])])
def test_min_p_keeps_what_is_likely_beside_the_likeliest(min_p: float, expected: list[int]) -> None:
    logits = of(0.15, 0.5, 0.05, 0.3)
    assert kept(keep_min_p(logits, NONE_SEEN, min_p=min_p)) == expected


def test_penalty_makes_what_was_seen_less_likely_once() -> None:
    logits = torch.tensor([2.0, -2.0, 1.0, 0.0])
    found = penalize_repetition(logits, torch.tensor([0, 0, 1, 3, 0]), penalty=2.0)
    assert found.tolist() == [1.0, -4.0, 1.0, 0.0]


def test_temperature_sharpens_and_flattens() -> None:
    logits = of(0.2, 0.8)
    cold = apply_temperature(logits, NONE_SEEN, temperature=0.5).softmax(-1)[1].item()
    warm = apply_temperature(logits, NONE_SEEN, temperature=2.0).softmax(-1)[1].item()
    assert cold == pytest.approx(0.64 / 0.68)
    assert warm == pytest.approx(2 / 3)


def test_settings_that_are_off_do_nothing() -> None:
    off = DecodingConfig(temperature=1, top_k=0, top_p=1.0, min_p=0.0, repetition_penalty=1.0)
    assert build_processors(off) == []
    assert build_processors(DecodingConfig(greedy=True)) == []
    assert len(build_processors(DecodingConfig(greedy=True, repetition_penalty=1.1))) == 1


def test_filters_apply_in_the_documented_order() -> None:
    # Temperature first: at 4 the probabilities are nearly equal, so top-p keeps more of them.
    logits = of(0.7, 0.2, 0.07, 0.03)
    assert kept(shape(logits, temperature=1.0, top_k=0, top_p=0.75)) == [0, 1]
    assert kept(shape(logits, temperature=4.0, top_k=0, top_p=0.75)) == [0, 1, 2]
    # Top-k before top-p: the share is of what top-k left.
    assert kept(shape(of(0.4, 0.3, 0.2, 0.1), temperature=1.0, top_k=2, top_p=0.55)) == [0]


def test_at_least_one_token_is_always_left() -> None:
    logits = torch.randn(50)
    tight = {"temperature": 0.01, "top_k": 1, "top_p": 1e-9, "min_p": 1.0}
    assert kept(shape(logits, **tight)) == [int(logits.argmax())]


def test_the_smallest_temperature_still_draws_the_likeliest() -> None:
    logits = torch.tensor([1.0, 9.0, 8.0])
    found = shape(logits, temperature=1e-40, top_k=0)
    assert draw(found, torch.Generator()) == 1


def test_a_seed_draws_the_same_tokens_again() -> None:
    logits = torch.randn(200)

    def tokens(seed: int) -> list[int]:
        generator = torch.Generator().manual_seed(seed)
        return [draw(logits, generator) for _ in range(30)]

    assert tokens(7) == tokens(7)
    assert tokens(7) != tokens(8)


@pytest.mark.parametrize("settings", [{"top_k": 5}, {"top_k": 0, "min_p": 0.1}])
def test_tokens_are_drawn_as_often_as_they_are_likely(settings: dict[str, object]) -> None:
    logits = torch.randn(40, generator=torch.Generator().manual_seed(3)) * 2
    shaped = shape(logits, temperature=0.9, **settings)
    probabilities = shaped.softmax(-1)
    generator = torch.Generator().manual_seed(11)
    draws = 4000
    counts = Counter(draw(shaped, generator) for _ in range(draws))
    assert set(counts) <= set(kept(shaped))
    statistic = sum(
        (counts[token] - draws * p) ** 2 / (draws * p)
        for token, p in enumerate(probabilities.tolist())
        if p > 0
    )
    freedom = len(kept(shaped)) - 1
    assert freedom >= 3
    assert statistic < freedom + 4 * math.sqrt(2 * freedom)


def test_only_the_reply_is_penalized_for_presence_and_frequency() -> None:
    history = torch.tensor([0, 0, 1, 2, 1, 1, 3])
    found = penalize_reply(torch.zeros(5), history, prompt_tokens=3, presence=0.5, frequency=0.25)
    assert found.tolist() == [0.0, -1.0, -0.75, -0.75, 0.0]


def names(config: DecodingConfig, **known: object) -> list[object]:
    return [getattr(p, "func", p) for p in build_processors(config, **known)]  # type: ignore[arg-type]


def test_the_order_is_the_documented_one() -> None:
    everything = DecodingConfig(
        min_p=0.1,
        top_p=0.9,
        top_k=3,
        temperature=2.0,
        min_tokens=1,
        no_repeat_ngram=2,
        frequency_penalty=1.0,
        repetition_penalty=2.0,
    )
    steering = [
        add_biases,
        penalize_repetition,
        penalize_reply,
        forbid_repeated_ngrams,
        forbid_early_end,
        refuse_nothing_left,
    ]
    known = {"biases": [Bias((1,), 1.0)], "end_ids": {0}}
    filters = [apply_temperature, keep_top_k, keep_top_p, keep_min_p]
    assert names(everything, **known) == steering + filters
    assert names(replace(everything, greedy=True), **known) == steering


def test_what_is_banned_is_never_drawn() -> None:
    banned, history = 3, torch.tensor([5])
    biases = [Bias((banned,), -math.inf), Bias((5, 2), -math.inf), Bias((6, 1), -math.inf)]
    config = DecodingConfig(temperature=50.0, top_k=0)
    logits = torch.randn(8)
    logits[banned] = 1e4
    logits = through(build_processors(config, biases=biases), logits, history)
    generator = torch.Generator().manual_seed(0)
    assert {draw(logits, generator) for _ in range(10_000)} == {0, 1, 4, 5, 6, 7}


@pytest.mark.parametrize("greedy", [True, False])
def test_when_all_is_banned_it_says_so(greedy: bool) -> None:
    biases = [Bias((id,), -math.inf) for id in range(4)]
    processors = build_processors(DecodingConfig(greedy=greedy), biases=biases)
    with pytest.raises(ConfigError, match="every token is forbidden"):
        through(processors, torch.randn(4))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
@pytest.mark.parametrize("alone", [True, False])
def test_extreme_logits_leave_a_distribution(dtype: torch.dtype, alone: bool) -> None:
    logits = (torch.randn(60) * 1e4).to(dtype)
    if alone:
        logits[torch.arange(60) != 17] = -math.inf
    config = DecodingConfig(
        repetition_penalty=1.3, presence_penalty=2.0, no_repeat_ngram=2, temperature=1e-3, min_p=0.1
    )
    processors = build_processors(config, biases=[Bias((4,), 9.0)])
    logits = through(processors, logits, torch.tensor([17, 4, 17]))
    probabilities = logits.softmax(-1)
    assert probabilities.isfinite().all() and probabilities.sum() == pytest.approx(1.0, abs=1e-3)
    assert draw(logits, torch.Generator()) == int(logits.argmax())
    assert not alone or kept(logits) == [17]
