"""What stands out among activations is found where it was put."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from tests.samples import make_config, make_model, random_ids
from tissu_core.interpret.activations import (
    Place,
    bad_weights,
    first_not_finite,
    places_of,
    summarize_places,
    watch_rows,
)
from tissu_core.models.decoder import Decoder


def watched(model: Decoder, *rows: Tensor) -> list[Place]:
    places = places_of(model)
    list(watch_rows(model, rows, places))
    return places


def place(places: list[Place], part: str, layer: int) -> Place:
    return next(each for each in places if (each.part, each.layer) == (part, layer))


def test_figures_are_those_of_the_values() -> None:
    model, rows = make_model(make_config()), [random_ids(1, n, seed=n) for n in (9, 5)]
    seen: list[Tensor] = []
    hook = model.model.layers[1].register_forward_hook(lambda m, i, o: seen.append(o[0]))
    found = summarize_places(watched(model, *rows))
    hook.remove()
    values = torch.cat(seen).double()
    stream = next(each for each in found if (each.part, each.layer) == ("stream", 1))
    centred = values - values.mean()
    assert stream.num_tokens == 14 and stream.width == 32
    assert stream.mean == pytest.approx(float(values.mean()))
    assert stream.std == pytest.approx(float(centred.square().mean().sqrt()))
    kurtosis = centred.pow(4).mean() / centred.square().mean() ** 2 - 3
    assert stream.kurtosis == pytest.approx(float(kurtosis))
    assert stream.max_abs == pytest.approx(float(values.abs().max()))
    assert stream.largest_channel == int(values.abs().argmax()) % 32
    assert stream.norm == pytest.approx(float(values.norm(dim=-1).median()))
    before = next(each for each in found if (each.part, each.layer) == ("stream", 0))
    assert stream.growth == pytest.approx(stream.norm / before.norm)
    assert sum(stream.histogram) == values.numel()
    assert not any(each.dead_units or each.not_finite for each in found)


@pytest.mark.parametrize("kind", ["swiglu", "gelu", "relu"])
def test_a_planted_dead_unit_is_named(kind: str) -> None:
    model = make_model(make_config(feed_forward=kind))
    with torch.no_grad():
        model.model.layers[1].mlp.up_proj.weight[[7, 40]] = 0.0
    found = summarize_places(watched(model, random_ids(1, 60)))
    dead = {each.layer: {*each.dead_units} for each in found if each.part == "units"}
    assert {7, 40} <= dead[1] and not {7, 40} & dead[0]
    assert kind == "relu" or dead == {0: set(), 1: {7, 40}}


def test_a_unit_that_one_text_uses_is_not_dead() -> None:
    model = make_model(make_config(feed_forward="relu"))
    up = model.model.layers[0].mlp.up_proj
    first, second = random_ids(1, 20, seed=1), random_ids(1, 20, seed=2)
    norm = model.model.layers[0].post_attention_layernorm
    seen: list[Tensor] = []
    hook = norm.register_forward_hook(lambda m, i, o: seen.append(o[0]))
    model(second)
    hook.remove()
    with torch.no_grad():
        up.weight[3] = seen[0][4]  # which this token alone excites most
    both = place(watched(model, first, second), "units", 0)
    assert both.tops is not None and both.tops[3] > 1.0


def test_a_planted_massive_channel_is_named_from_its_layer_on() -> None:
    model = make_model(make_config())
    plain = watched(model, random_ids(1, 30))
    assert not any(each.massive for each in plain)
    with torch.no_grad():
        model.model.layers[1].mlp.down_proj.weight[11] *= 1e5
    places = watched(model, random_ids(1, 30))
    found = {each.layer: [*each.massive] for each in places if each.part == "stream"}
    assert found == {0: [], 1: [11]}
    massive = place(places, "stream", 1).massive[11]
    assert abs(massive.value) > 100 and massive.ratio > 1000 and 0 <= massive.position < 30


def test_the_first_module_with_nan_is_named_and_the_weight() -> None:
    model, row = make_model(make_config()), random_ids(1, 9)
    assert first_not_finite(model, [row]) == "" and bad_weights(model) == ()
    with torch.no_grad():
        model.model.layers[1].mlp.up_proj.weight[3, 4] = torch.nan
    places = watched(model, row)
    assert place(places, "units", 1).not_finite == 9
    assert place(places, "stream", 0).not_finite == 0
    assert first_not_finite(model, [row]) == "model.layers.1.mlp.up_proj"
    assert bad_weights(model) == (("model.layers.1.mlp.up_proj.weight", 1),)
    assert sum(summarize_places(places)[-1].histogram) == 0  # all of the last stream


def test_each_expert_has_units_of_its_own(tmp_path: Path) -> None:
    model = make_model(make_config(num_local_experts=4, num_experts_per_tok=1))
    units = [
        each
        for each in summarize_places(watched(model, random_ids(1, 40)))
        if each.part == "units" and each.layer == 0
    ]
    assert [each.name[-11:] for each in units] == [f"{n}.down_proj" for n in range(4)]
    assert sum(each.num_tokens for each in units) == 40
