from tissu_core.parallel.ranks import ALONE
from tissu_core.training.budget import Budget


def test_steps_are_the_budget_where_no_time_is() -> None:
    budget = Budget(8, 0.0, lambda: 1e9, ALONE)
    assert not budget.look()
    assert [budget.progress(step) for step in (0, 2, 8)] == [0.0, 0.25, 1.0]


def test_time_for_what_follows_the_last_step_is_kept() -> None:
    now = 45.0
    budget = Budget(8, 100.0, lambda: now, ALONE)
    budget.look()
    assert budget.progress(8) == 0.45
    budget.set_aside(10.0)
    budget.set_aside(4.0)
    budget.look()
    assert budget.progress(0) == 0.5
    now = 91.0
    budget.look()
    assert budget.progress(0) == 1.0


def test_it_is_a_fifth_at_most_however_long_that_took() -> None:
    budget = Budget(8, 100.0, lambda: 40.0, ALONE)
    budget.set_aside(1e6)
    budget.look()
    assert budget.progress(0) == 0.5


def test_whoever_asks_stops_it() -> None:
    assert Budget(8, 0.0, lambda: 0.0, ALONE).look(lambda: True)
