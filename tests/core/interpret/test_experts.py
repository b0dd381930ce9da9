"""What a router was told to do is what is seen of it."""

import math

import pytest
import torch

from tests.core.interpret.planted import routed_model
from tests.samples import make_config, make_model, random_ids
from tissu_core.interpret.experts import (
    Routes,
    balance,
    favourites,
    iter_routes,
    joined,
    pairs,
)


def routes_of(experts: list[list[list[int]]], size: int, ids: list[int] | None = None) -> Routes:
    chosen = torch.tensor(experts)
    weights = torch.full(chosen.shape, 1 / chosen.shape[-1])
    return Routes(torch.tensor(ids or [*range(chosen.shape[1])]), chosen, weights, size)


@pytest.mark.parametrize("chosen", [1, 2])
def test_planted_routes_are_seen(chosen: int) -> None:
    rows = [random_ids(1, 40, seed=seed) for seed in range(3)]
    routes = joined([*iter_routes(routed_model(chosen=chosen), rows)])
    assert routes.ids.tolist() == [id for row in rows for id in row[0, 1:].tolist()]
    for layer in range(2):
        for rank in range(chosen):
            expected = (routes.ids - 16 + rank + layer) % 4
            assert routes.experts[layer, :, rank].tolist() == expected.tolist()


def test_weights_are_those_that_the_layer_multiplies_by() -> None:
    model = make_model(make_config(num_local_experts=4, num_experts_per_tok=2))
    ids, seen = random_ids(1, 12), []
    mixture = model.model.layers[1].mlp
    hook = mixture.register_forward_hook(lambda module, inputs, out: seen.append((inputs[0], out)))
    (routes,) = iter_routes(model, [ids])
    hook.remove()
    x, out = seen[0]
    with torch.no_grad():
        for place in range(11):
            mixed = sum(
                weight * mixture.experts[expert](x[0, place + 1])
                for weight, expert in zip(
                    routes.weights[1, place], routes.experts[1, place].tolist(), strict=True
                )
            )
            torch.testing.assert_close(mixed, out[0, place + 1])


def test_figures_of_a_layer() -> None:
    routes = routes_of([[[0, 1], [0, 2], [0, 1], [2, 1]]], 4)
    routes.weights[0, :, 0], routes.weights[0, :, 1] = 0.75, 0.25
    assert routes.counts(0).tolist() == [3, 3, 2, 0]
    assert routes.mean_weights(0).tolist() == pytest.approx([0.75, 0.25, 0.5, 0])
    shares = [3 / 8, 3 / 8, 2 / 8]
    entropy = -sum(share * math.log(share) for share in shares) / math.log(4)
    assert balance(routes.counts(0)) == pytest.approx(entropy)
    assert balance(torch.tensor([5, 5])) == pytest.approx(1)
    assert balance(torch.tensor([5, 0])) == 0
    assert balance(torch.tensor([7])) == 1


def test_favourites_are_what_asks_an_expert_more_than_others_do() -> None:
    """Token 5 always asks expert 0, token 6 half the time, 7 never; 8 is read once."""
    ids = [5] * 10 + [6] * 10 + [7] * 10 + [8]
    experts = [0] * 10 + [0, 1] * 5 + [1] * 10 + [0]
    found = favourites(routes_of([[[expert] for expert in experts]], 3, ids), 0, 4)
    (best,) = found[0]
    assert (best.id, best.count, best.times_read) == (5, 10, 10)
    assert best.times_chance == pytest.approx(31 / 16)
    assert [token.id for token in found[1]] == [7]
    assert found[2] == []


def test_pairs_are_held_against_chance() -> None:
    even = [[a, b] for a in range(4) for b in range(4) if a < b] * 5
    flat = pairs(routes_of([even], 4), 0)
    assert len(flat) == 6
    assert [times for *_, times in flat] == pytest.approx([1.0] * 6)
    planted = pairs(routes_of([[[0, 1], [2, 3]] * 6], 4), 0)
    assert [pair[:3] for pair in planted] == [(0, 1, 6), (2, 3, 6)]
    assert pairs(routes_of([[[0], [1]]], 4), 0) == []
