"""Shapley values, LIME and integrated gradients, each against what it is defined as."""

from collections.abc import Callable, Generator
from dataclasses import replace
from itertools import permutations
from typing import Any

import pytest
import torch

from tests.core.interpret.planted import OTHER, TARGET, TRIGGER, trigger_model
from tests.samples import make_config, make_model, random_ids
from tissu_core.interpret.attribution import lime, shapley
from tissu_core.interpret.attribution.integrated_gradients import (
    MOST_GAP,
    iter_integrated_gradients,
)
from tissu_core.interpret.attribution.question import Attribution, Question
from tissu_core.models.decoder import Decoder

NEUTRAL = 17


def ask(model: Decoder, count: int, target: tuple[int, ...] = (TARGET,), seed: int = 0) -> Question:
    ids = random_ids(count + 1, seed=seed).tolist()
    return Question(model, ids, target, NEUTRAL, [range(i, i + 1) for i in range(1, count + 1)])


def of(found: Generator[int, None, Attribution]) -> Attribution:
    readings, ends = [], []

    def read() -> Generator[int, None, None]:
        ends.append((yield from found))

    readings += read()
    assert readings == sorted(readings) and readings[-1] == ends[0].readings
    return ends[0]


METHODS: dict[str, Callable[[Question], Attribution]] = {
    "exact": lambda question: of(shapley.iter_shapley(question, 1 << 12, 0)),
    "sampled": lambda question: of(shapley.iter_shapley(question, 200, 0)),
    "lime": lambda question: of(lime.iter_lime(question, 1 << 12, 0)),
    "lime_sampled": lambda question: of(lime.iter_lime(question, 200, 0)),
    "ig": lambda question: of(iter_integrated_gradients(question)),
}
every_method = pytest.mark.parametrize("method", METHODS)


def f(question: Question, there: Any) -> float:
    """log p of the target by the model's own forward, with only these parts there."""
    ids = list(question.ids)
    for number, part in enumerate(question.parts):
        if number not in there:
            ids[part.start : part.stop] = [NEUTRAL] * len(part)
    with torch.no_grad():
        logits = question.model(torch.tensor([[*ids, *question.target]]))[0]
    picked = logits.double().log_softmax(-1)[len(ids) - 1 : -1]
    return sum(float(row[id]) for row, id in zip(picked, question.target, strict=True))


def test_answers_are_the_models_own_for_targets_of_several_tokens() -> None:
    model = make_model(make_config(final_logit_softcapping=3.0))
    question = ask(model, 5, (60, 61, 62))
    kept = torch.tensor([[1, 1, 1, 1, 1], [0, 1, 0, 1, 1], [0, 0, 0, 0, 0]]).bool()
    answers = []
    parts = question.answers(kept)
    try:
        while True:
            next(parts)
    except StopIteration as end:
        answers = end.value.tolist()
    expected = [f(question, row.nonzero().flatten().tolist()) for row in kept]
    assert answers == pytest.approx(expected, abs=1e-4)


def test_exact_values_are_the_average_over_all_orders_of_eight() -> None:
    question = ask(make_model(make_config()), 8, (60, 61))
    found = METHODS["exact"](question)
    assert found.is_exact and found.readings == 256 and not any(found.errors)
    known = {
        tuple(sorted(part)): f(question, part)
        for size in range(9)
        for part in {tuple(sorted(order[:size])) for order in permutations(range(8), size)}
    }
    for player in (0, 5):
        total = 0.0
        orders = list(permutations(range(8)))
        for order in orders:
            before = order[: order.index(player)]
            total += known[tuple(sorted((*before, player)))] - known[tuple(sorted(before))]
        assert found.values[player] == pytest.approx(total / len(orders), abs=1e-4)
    assert sum(found.values) == pytest.approx(known[*range(8),] - known[()], abs=1e-4)


def test_sampled_values_sum_exactly_and_are_within_their_errors() -> None:
    question = ask(make_model(make_config()), 9)
    exact, sampled = METHODS["exact"](question), METHODS["sampled"](question)
    assert not sampled.is_exact
    assert sampled.readings <= shapley.readings_of(9, 200) <= 200
    assert sampled.gap < 1e-12 and exact.gap < 1e-12
    off = [
        abs(a - b) / error
        for a, b, error in zip(exact.values, sampled.values, sampled.errors, strict=True)
    ]
    assert max(off) < 4 and min(sampled.errors) > 0


def test_a_budget_too_small_for_an_error_is_exceeded() -> None:
    found = of(shapley.iter_shapley(ask(make_model(make_config()), 12), 16, 0))
    assert 16 < found.readings <= shapley.readings_of(12, 16) == 46
    assert found.gap < 1e-12 and min(found.errors) > 0


@every_method
def test_a_planted_trigger_ranks_first(method: str) -> None:
    question = ask(trigger_model(), 9)
    for place in (4,) if method == "ig" else (1, 4, 9):
        ids = [OTHER + i for i in range(10)]
        ids[place] = TRIGGER
        found = METHODS[method](replace(question, ids=ids))
        values = list(found.values)
        assert values[place - 1] == max(values)
        rest = [abs(value) for i, value in enumerate(values) if i != place - 1]
        assert max(rest) < 0.1 * values[place - 1], values


@every_method
def test_what_no_window_reaches_is_worth_nothing(method: str) -> None:
    config = make_config(num_hidden_layers=2, sliding_window=3, position_embedding="rope")
    found = METHODS[method](ask(make_model(config), 8))
    # Two layers of a window of 3 read 4 tokens back from the last.
    tolerance = {"lime": 5e-3, "lime_sampled": 0.2}.get(method, 1e-6)  # its kernel lets some leak
    assert found.values[:3] == pytest.approx([0, 0, 0], abs=tolerance)
    assert min(abs(value) for value in found.values[-3:]) > 1e-3


@every_method
def test_parts_that_do_the_same_have_the_same_value(method: str) -> None:
    model = trigger_model()
    model.model.layers[0].self_attn.slopes = (0.0,) * 4  # so that no place is nearer
    ids = [OTHER, OTHER + 1, TRIGGER, OTHER + 2, OTHER + 3, TRIGGER, OTHER + 4]
    found = METHODS[method](replace(ask(model, 6), ids=ids))
    assert found.values[1] == pytest.approx(
        found.values[4], abs=0.15 if "sampled" in method else 1e-4
    )
    assert found.values[1] > 0.1


def test_integrated_gradients_are_complete_and_double_their_steps_until_then() -> None:
    question = ask(make_model(make_config()), 8)
    found = METHODS["ig"](question)
    assert found.gap <= MOST_GAP
    assert found.readings - 2 in (32, 96, 224, 480, 992)
    assert found.whole == pytest.approx(f(question, range(8)), abs=1e-4)
    by_token = METHODS["ig"](replace(question, neutral=NEUTRAL))
    assert by_token.empty == pytest.approx(f(question, ()), abs=1e-4)


def test_a_word_of_several_tokens_is_one_part() -> None:
    question = ask(make_model(make_config()), 6)
    words = replace(question, parts=[range(1, 3), range(3, 6), range(6, 7)])
    found = METHODS["exact"](words)
    assert len(found.values) == 3 and found.readings == 8
    assert found.whole - f(words, (0, 2)) == pytest.approx(
        f(words, (0, 1, 2)) - f(words, (0, 2)), abs=1e-4
    )
    tokens, grouped = METHODS["ig"](question), METHODS["ig"](words)
    assert grouped.values[1] == pytest.approx(sum(tokens.values[2:5]), abs=1e-6)


def test_limes_line_is_the_weighted_least_squares_of_all_sets() -> None:
    question = ask(make_model(make_config()), 6)
    found = METHODS["lime"](question)
    kept = [[number >> bit & 1 for bit in range(6)] for number in range(64)]
    answers = torch.tensor(
        [f(question, [i for i, there in enumerate(row) if there]) for row in kept]
    )
    inputs = torch.tensor([[1, *row] for row in kept]).double()
    away = 1 - inputs[:, 1:].mean(1).sqrt()
    root = torch.exp(-((100 * away / 25) ** 2) / 4)[:, None]
    solved = torch.linalg.lstsq(root * inputs, root * answers[:, None].double()).solution
    assert found.values == pytest.approx(solved[1:, 0].tolist(), abs=1e-3)
    assert found.fit is not None and 0 < found.fit < 1


def test_a_line_is_found_whole_by_lime() -> None:
    kept = torch.rand(60, 5, generator=torch.Generator().manual_seed(0)) < 0.5
    slopes = torch.tensor([1.0, -2.0, 0.0, 3.0, 0.5], dtype=torch.float64)
    values, errors, fit = lime._fitted(kept, kept.double() @ slopes + 7)
    torch.testing.assert_close(values, slopes)
    assert fit == pytest.approx(1) and errors.max() < 1e-6
