import math

import pytest
import torch

from tests.samples import CPU, VOCAB_SIZE, make_config, random_ids
from tissu_core.models.build import build_empty, build_model
from tissu_core.training.objectives.next_token import next_token


def test_weights_are_a_function_of_the_seed(tiny_config) -> None:
    first, again, other = (build_model(tiny_config, device=CPU, seed=s) for s in (1, 1, 2))
    for name, tensor in first.state_dict().items():
        assert torch.equal(tensor, again.state_dict()[name])
    assert not torch.equal(first.lm_head.weight, other.lm_head.weight)


def test_building_does_not_touch_the_global_random_numbers(tiny_config) -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    build_model(tiny_config, device=CPU, seed=1)
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.parametrize("is_tied", [False, True])
def test_a_fresh_model_guesses_uniformly(*, is_tied: bool) -> None:
    model = build_model(make_config(tie_word_embeddings=is_tied), device=CPU, seed=1)
    output = next_token(model, random_ids(4, 33))
    loss = output.loss_sum.item() / output.num_targets
    assert loss == pytest.approx(math.log(VOCAB_SIZE), abs=0.1)


def test_blocks_of_a_fresh_model_are_the_identity(tiny_config) -> None:
    model = build_model(tiny_config, device=CPU, seed=1)
    ids = random_ids(1, 9)
    expected = model.model.norm(model.model.embed_tokens(ids))
    torch.testing.assert_close(model.model(ids), expected)


def test_no_weight_is_left_unset(tiny_config) -> None:
    model = build_model(tiny_config, device=CPU, seed=1)
    for name, parameter in model.named_parameters():
        assert parameter.isfinite().all(), name
        assert parameter.device == CPU
        if name.endswith(("q_proj.weight", "gate_proj.weight")):
            assert parameter.std().item() == pytest.approx(32**-0.5, rel=0.2)


def test_an_empty_model_takes_no_memory() -> None:
    model = build_empty(make_config(hidden_size=4096, vocab_size=1_000_000))
    assert all(parameter.is_meta for parameter in model.parameters())
