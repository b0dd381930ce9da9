from collections.abc import Iterable

import torch

from tests.samples import make_config, make_model
from tissu_core.parallel.data_parallel import owners
from tissu_core.parallel.layouts import Layout, build_layout
from tissu_core.parallel.ranks import ALONE, Ranks
from tissu_core.parallel.tensor_parallel import cut_layers


def test_one_process_has_everything() -> None:
    model = make_model(make_config())
    layout = build_layout(model, ALONE, shard="full")
    assert type(layout) is Layout
    assert layout.weights() is None
    assert layout.owned() == list(model.named_parameters())


def test_each_tensor_has_one_owner_and_the_ranks_hold_alike() -> None:
    parameters = list(make_model(make_config()).named_parameters())
    found = owners(parameters, Ranks(0, 3))
    assert found.keys() == {name for name, _ in parameters}
    held = [sum(p.numel() for n, p in parameters if found[n] == rank) for rank in range(3)]
    assert max(held) - min(held) <= max(p.numel() for _, p in parameters)
    assert found == owners(parameters[::-1], Ranks(2, 3))


def test_the_shares_of_a_batch_are_all_of_it() -> None:
    model, windows = make_model(make_config()), torch.arange(24).reshape(8, 3)
    shares = [Layout(model, Ranks(rank, 4)).rows(windows) for rank in range(4)]
    assert torch.equal(torch.cat(shares), windows)


def test_the_parts_of_every_layer_are_all_of_it() -> None:
    whole = dict(make_model(make_config(use_bias=True)).named_parameters())
    parts = []
    for rank in range(2):
        model = make_model(make_config(use_bias=True))
        cut = cut_layers(model, Ranks(rank, 2))
        parts.append(dict(model.named_parameters()))
        assert model.model.layers[0].self_attn.num_heads == 2
        assert model.model.layers[0].self_attn.num_kv_heads == 1
    assert {name for name in whole if "_proj" in name} == {*cut, *_biases_behind(whole)}
    for name, parameter in whole.items():
        halves = [part[name] for part in parts]
        found = torch.cat(halves, cut[name]) if name in cut else halves[0]
        assert torch.equal(found, parameter), name


def _biases_behind(names: Iterable[str]) -> set[str]:
    return {name for name in names if name.endswith(("o_proj.bias", "down_proj.bias"))}
