import random

from tissu_core.evals.worst import Worst


def test_the_heap_holds_what_a_full_sort_would_and_no_more() -> None:
    draw = random.Random(0)
    costs = [round(draw.random(), 2) for _ in range(500)]
    assert len({*costs}) < len(costs), "some are equal"
    worst, described = Worst[int](7), []
    for number, cost in enumerate(costs):

        def describe(number: int = number) -> int:
            described.append(number)
            return number

        worst.add(cost, describe)
        assert len(worst.pieces()) == min(number + 1, 7)
    ranked = sorted(range(500), key=lambda number: (-costs[number], number))
    assert [*worst.pieces()] == ranked[:7]
    assert {*ranked[:7]} <= {*described} and len(described) < 60


def test_none_are_kept_where_none_are_asked_for() -> None:
    worst = Worst[str]()
    worst.add(1.0, lambda: "a")
    assert worst.pieces() == ()
