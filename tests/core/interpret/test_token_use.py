"""Figures of token use, against plain counting and SciPy-free references."""

import math
import random
from collections import Counter

import numpy as np
import pytest

from tissu_core.interpret.token_use import (
    Samples,
    count_tokens,
    distinct,
    divergence_bits,
    entropy_bits,
    log2_ratios,
    measure_variety,
    repetition,
)


def drawn(seed: int, size: int = 400, ids: int = 30) -> list[int]:
    draw = random.Random(seed)
    return [int(draw.paretovariate(0.8)) % ids for _ in range(size)]


def test_counts_are_those_of_a_counter() -> None:
    texts = [drawn(1), drawn(2)]
    assert count_tokens(texts) == Counter(texts[0] + texts[1])


def test_the_same_text_diverges_by_nothing_and_another_by_one_bit() -> None:
    same = Counter(drawn(1))
    assert divergence_bits(same, same) == 0
    assert divergence_bits(same, Counter({id: 3 * n for id, n in same.items()})) == pytest.approx(0)
    assert divergence_bits({1: 5}, {2: 7}) == 1.0
    assert divergence_bits({}, {2: 7}) == 1.0 and divergence_bits({}, {}) == 0.0


def test_divergence_is_the_entropy_of_the_mixture_less_the_mean_entropy() -> None:
    counts = Counter(drawn(1)), Counter(drawn(2, ids=20))
    p, q = (np.array([c[i] for i in range(30)]) / c.total() for c in counts)

    def entropy(shares: np.ndarray) -> float:
        shares = shares[shares > 0]
        return float(-(shares * np.log2(shares)).sum())

    expected = entropy((p + q) / 2) - (entropy(p) + entropy(q)) / 2
    assert divergence_bits(*counts) == pytest.approx(expected)
    assert entropy_bits(counts[0]) == pytest.approx(entropy(p))
    assert entropy_bits({1: 1, 2: 1, 3: 1, 4: 1}) == 2 and entropy_bits({}) == 0


def test_n_grams_do_not_cross_from_text_to_text() -> None:
    assert distinct([[1, 2], [2, 1]], 2) == 1.0
    assert distinct([[1, 2, 1, 2]], 2) == pytest.approx(2 / 3)
    assert distinct([[1], [2]], 3) == 0.0
    assert repetition([[1, 2, 3, 4], [1, 2, 3, 4]]) == 0.0
    assert repetition([[1, 2, 3, 4] * 2]) == pytest.approx(1 / 5)
    assert repetition([[7] * 10]) == pytest.approx(6 / 7)


def test_ratios_are_of_what_would_be_expected() -> None:
    training = {1: 1000, 2: 1000, 3: 0, 4: 10}
    generated = {1: 60, 2: 20, 3: 20}
    ratios = log2_ratios(generated, training, [1, 2, 3, 4, 5])
    expected = 1000 * 100 / 2010
    assert ratios[1] == pytest.approx(math.log2(60.5 / (expected + 0.5)))
    assert ratios[2] < 0 < ratios[1] < ratios[3]
    assert ratios[5] == 0.0 and -1.1 < ratios[4] < 0
    assert {*log2_ratios(training, training, training).values()} == {0.0}


def test_variety_of_a_text_against_itself() -> None:
    texts = [drawn(1), drawn(2)]
    found = measure_variety(texts, count_tokens(texts))
    assert found.num_tokens == 800 and found.num_types == len({*texts[0], *texts[1]})
    assert found.divergence_bits == 0
    assert found.growth[0] == (0, 0) and found.growth[-1] == (800, found.num_types)
    place, size = found.growth[len(found.growth) // 4]
    assert size == len({*(texts[0] + texts[1])[:place]})
    shares = [share for _, share in found.ranks]
    assert shares == sorted(shares, reverse=True)
    assert found.ranks[-1][0] == found.num_types
    top = count_tokens(texts).most_common(1)[0][1]
    assert found.ranks[0] == (1, top / 800)


def test_samples_are_cut_alike_and_from_everywhere() -> None:
    lengths = [10, 4, 7]
    found = []
    for seed in range(60):
        samples = Samples(lengths, seed)
        for document in range(20):
            samples.add([document] * 25)
        texts = samples.texts()
        assert sorted(map(len, texts), reverse=True) == [10, 7, 4]
        found += [text[0] for text in texts]
    assert len({*found}) == 20
    short = Samples([10])
    short.add([1, 2])
    assert short.texts() == [[1, 2]]
