import torch

from tests.samples import make_config, make_model
from tissu_core.parallel.data_parallel import owners
from tissu_core.parallel.layouts import Layout, build_layout
from tissu_core.parallel.ranks import ALONE, Ranks


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
