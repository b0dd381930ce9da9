from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

from tests.samples import make_config, make_model
from tissu_core.events.tensors import LayerMoved, PartCompared, TensorCompared
from tissu_core.interpret.model_comparison import compare_parts, layers_moved
from tissu_core.interpret.tensors.comparison import compare_tensors
from tissu_core.interpret.tensors.names import in_order, kind_of, layer_of

Weights = dict[str, Tensor]


def weights() -> Weights:
    return {name: tensor.clone() for name, tensor in make_model(make_config()).state_dict().items()}


def compared(before: Weights, after: Weights) -> list[TensorCompared]:
    return [compare_tensors(name, before[name], after[name]) for name in in_order(before)]


def part(parts: Sequence[PartCompared], layer: str, kind: str) -> PartCompared:
    (found,) = [each for each in parts if (each.layer, each.kind) == (layer, kind)]
    return found


def test_what_was_changed_has_changed_and_nothing_else() -> None:
    after = weights()
    after["model.layers.1.self_attn.q_proj.weight"] *= 1.1
    parts = compare_parts(compared(weights(), after))
    assert part(parts, "layers.1", "q").change == pytest.approx(0.1)
    assert part(parts, "layers.1", "q").cosine == pytest.approx(1)
    changed = {(each.layer, each.kind) for each in parts if each.change}
    assert changed == {("layers.1", "q"), ("layers.1", "all"), ("all", "all")}


def test_a_part_is_all_its_tensors_as_one_vector() -> None:
    before, after = weights(), weights()
    for number, tensor in enumerate(after.values()):
        tensor += 0.05 * torch.randn(tensor.shape, generator=torch.Generator().manual_seed(number))
    parts = compare_parts(compared(before, after))
    for layer, kind, names in (
        ("layers.0", "norm", [n for n in before if "layers.0" in n and "norm" in n]),
        ("layers.1", "all", [n for n in before if "layers.1" in n]),
        ("all", "all", list(before)),
    ):
        old, new = (torch.cat([w[n].flatten().double() for n in names]) for w in (before, after))
        found = part(parts, layer, kind)
        assert len(names) > 1
        assert found.change == pytest.approx(float((new - old).norm() / old.norm()))
        assert found.cosine == pytest.approx(float(torch.cosine_similarity(old, new, dim=0)))


def test_what_was_zero_is_new() -> None:
    before = {"a.weight": torch.zeros(4), "b.weight": torch.ones(4)}
    after = {"a.weight": torch.ones(4), "b.weight": torch.ones(4)}
    parts = compare_parts(compared(before, after))
    assert part(parts, "a", "all").change is None
    assert part(parts, "all", "all").change == pytest.approx(1)


def moved(*changes_of_first_layer: float) -> dict[str, LayerMoved]:
    """What a series says in which layer 0 grows by shares and layer 1 grows evenly."""
    series = []
    for number, change in enumerate(changes_of_first_layer, 1):
        after = weights()
        after["model.layers.0.mlp.up_proj.weight"] *= 1 + change
        after["model.layers.1.mlp.up_proj.weight"] *= 1 + 0.1 * number
        series.append(compared(weights(), after))
    steps = range(0, 10 * len(changes_of_first_layer) + 1, 10)
    return {each.layer: each for each in layers_moved(steps, series)}


def test_a_series_says_when_a_layer_began_to_move() -> None:
    found = moved(0.0, 0.0, 0.3, 0.4)
    assert found["layers.0"].moved_between == (20, 30)
    assert found["layers.1"].moved_between == (0, 10)
    assert found["embed_tokens"].moved_between is None
    assert found["layers.0"].changes[:3] == (0.0, 0.0, 0.0)
    assert found["layers.0"].changes[4] > found["layers.0"].changes[3] > 0
    assert found["layers.0"].steps == (0, 10, 20, 30, 40)


def test_a_twitch_is_no_beginning() -> None:
    assert moved(0.001, 0.001, 0.4)["layers.0"].moved_between == (20, 30)


@pytest.mark.parametrize(
    ("name", "layer", "kind"),
    [
        ("model.layers.3.self_attn.q_proj.weight", "layers.3", "q"),
        ("model.layers.3.self_attn.q_norm.weight", "layers.3", "norm"),
        ("model.layers.11.mlp.down_proj.weight", "layers.11", "down"),
        ("model.layers.0.block_sparse_moe.gate.weight", "layers.0", "router"),
        ("model.layers.0.block_sparse_moe.experts.3.w1.weight", "layers.0", "gate"),
        ("h.2.attn.c_attn.bias", "layers.2", "qkv"),
        ("h.2.attn.c_proj.weight", "layers.2", "o"),
        ("h.2.mlp.c_proj.weight", "layers.2", "down"),
        ("h.2.ln_1.weight", "layers.2", "norm"),
        ("transformer.blocks.4.ffn.up_proj.weight", "layers.4", "up"),
        ("model.embed_tokens.weight", "embed_tokens", "embed_tokens"),
        ("wte.weight", "embed_tokens", "embed_tokens"),
        ("model.norm.weight", "norm", "norm"),
        ("lm_head.weight", "lm_head", "lm_head"),
    ],
)
def test_layers_and_kinds_by_the_names_of_families(name: str, layer: str, kind: str) -> None:
    assert (layer_of(name), kind_of(name)) == (layer, kind)


def test_the_order_is_that_of_computing() -> None:
    names = in_order(sorted(make_model(make_config(num_hidden_layers=12)).state_dict()))
    assert names[0] == "model.embed_tokens.weight"
    assert names[-2:] == ["model.norm.weight", "lm_head.weight"]
    inner = [name.removeprefix("model.layers.10.") for name in names if ".layers.10." in name]
    assert inner[0] == "input_layernorm.weight" and inner[-1] == "mlp.down_proj.weight"
    layers = [int(name.split(".")[2]) for name in names if ".layers." in name]
    assert layers == sorted(layers)
