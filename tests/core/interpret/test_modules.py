import pytest
from torch import nn

from tests.samples import make_config
from tissu_core.interpret.modules import count_modules
from tissu_core.models.build import build_empty
from tissu_core.models.count import num_parameters


@pytest.mark.parametrize("is_tied", [True, False])
def test_the_tree_holds_what_the_formula_says(is_tied: bool) -> None:
    config = make_config(num_hidden_layers=5, tie_word_embeddings=is_tied)
    rows = {row.path: row for row in count_modules(build_empty(config))}
    assert rows[""].num_parameters == num_parameters(config)
    assert rows["lm_head"].num_parameters == (0 if is_tied else 320 * 32)
    layers = rows["model.layers.[0-4]"]
    assert (layers.count, layers.num_parameters) == (5, rows["model.layers"].num_parameters)
    assert rows["model.layers.[0-4].mlp.up_proj"].num_parameters == 5 * 32 * 88
    assert rows["model.layers.[0-4].self_attn.k_proj"].count == 5
    assert not any("[0-4]" not in path and ".0" in path for path in rows)


def test_what_does_nothing_is_left_out() -> None:
    rows = {row.path for row in count_modules(build_empty(make_config(qk_norm=False)))}
    assert "model.layers.[0-1].self_attn.q_proj" in rows
    assert not any("q_norm" in row or "output_norm" in row for row in rows)


def test_only_neighbours_that_are_alike_are_one() -> None:
    layers = [nn.Linear(2, 2), nn.Linear(2, 2), nn.Linear(2, 3), nn.Linear(2, 2), nn.ReLU()]
    (_, *rows) = count_modules(nn.ModuleList(layers))
    assert [(row.path, row.count, row.num_parameters) for row in rows] == [
        ("[0-1]", 2, 12),
        ("2", 1, 9),
        ("3", 1, 6),
        ("4", 1, 0),
    ]


def test_children_of_another_module_keep_their_names() -> None:
    rows = count_modules(nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2)))
    assert [row.path for row in rows] == ["", "0", "1"]
