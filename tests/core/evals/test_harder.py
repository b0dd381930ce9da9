"""Harder forms are made the same way again, and only what they break is counted against a model."""

import random

import pytest

from tissu_core.evals.paired import LEAST_UNITS
from tissu_core.evals.suites.harder import compare_forms, distract, harden, misspell
from tissu_core.evals.suites.suite import Item, Suite
from tissu_core.events.suites import ItemScored


def item(id: str, prompt: str = "The children walked slowly to the", **more: str) -> Item:
    return Item(id=id, prompt=prompt, answers=("school.",), choices=("moon.", "school."), **more)


def suite(*items: Item) -> Suite:
    return Suite(
        name="s",
        about="",
        path="",
        metric="choice",
        instruction="",
        max_tokens=8,
        stop=(),
        shots=(),
        items=items,
    )


def scored(made: Suite, wrong: set[str]) -> dict[str, ItemScored]:
    return {
        each.id: ItemScored(
            suite="s",
            id=each.id,
            kind=each.kind,
            prompt=each.prompt,
            answer="school.",
            given="",
            value=float(each.id not in wrong),
        )
        for each in made.items
    }


@pytest.mark.parametrize("seed", range(30))
def test_typing_errors_keep_words_apart_and_change_at_least_one(seed: int) -> None:
    plain = item("a")
    typed = misspell(plain, random.Random(seed))
    before, after = plain.prompt.split(), typed.split()
    assert typed != plain.prompt and len(before) == len(after)
    for was, now in zip(before, after, strict=True):
        assert was[0] == now[0] and abs(len(was) - len(now)) <= 1
        assert len(was) > 3 or was == now


def test_a_distractor_says_a_wrong_choice_before_the_question() -> None:
    plain = item("a")
    told = distract(plain, random.Random(1))
    assert told.endswith(" " + plain.prompt) and "moon" in told and "school" not in told


def test_forms_are_the_same_for_the_same_seed() -> None:
    made = suite(item("a"), item("b", "Nobody remembered where the"))
    assert harden(made, (), 1) == harden(made, (), 1) != harden(made, (), 2)


def test_written_forms_count_and_kinds_can_be_chosen() -> None:
    made = suite(item("a"), item("b"), item("not-a", kind="negation", of="a"))
    chosen = harden(made, ["negation"], 0)
    assert [each.id for each in chosen.items] == ["a", "not-a"]
    everything = harden(made, (), 0)
    assert {each.kind for each in everything.items} == {"", "negation", "typos", "distractor"}
    assert {each.of for each in everything.items if each.kind == "typos"} == {"a", "b"}


def test_a_model_that_stumbles_over_typos_has_a_gap_there_alone() -> None:
    plain = suite(*(item(f"i{n}") for n in range(20)))
    made = harden(plain, (), 0)
    wrong = {each.id for each in made.items if each.kind == "typos"} - {"i3+typos"} | {"i5"}
    found = {kind.kind: kind for kind in compare_forms(made, scored(made, wrong), 0)}
    typos, others = found["typos"], found["distractor"]
    assert (typos.num_broken, typos.num_mended, typos.num_pairs) == (18, 0, 20)
    assert typos.gap == pytest.approx(0.9)
    assert typos.low is not None and typos.low > 0.7 and typos.is_beyond_chance
    assert typos.example is not None and typos.example.kind == "typos"
    assert (others.num_broken, others.num_mended) == (0, 1) and others.gap < 0


def test_a_few_pairs_are_never_beyond_chance() -> None:
    for number in range(1, LEAST_UNITS):
        made = harden(suite(*(item(f"i{n}") for n in range(number))), ["typos"], 0)
        wrong = {each.id for each in made.items if each.of}
        (typos,) = compare_forms(made, scored(made, wrong), 0)
        assert (typos.gap, typos.low, typos.high) == (1.0, None, None)
        assert not typos.is_beyond_chance


def test_a_pair_with_an_unanswered_half_is_left_out() -> None:
    made = harden(suite(item("a"), item("b")), ["typos"], 0)
    answered = scored(made, set())
    del answered["a"]
    (typos,) = compare_forms(made, answered, 0)
    assert typos.num_pairs == 1
