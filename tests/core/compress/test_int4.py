import copy
from collections.abc import Callable

import pytest
import torch
from torch import nn

from tests.samples import make_config, make_model, random_ids
from tissu_core.compress.awq import quantize_awq
from tissu_core.compress.gptq import quantize_gptq, round_by_gram
from tissu_core.compress.groups import choose_levels, restored, round_to
from tissu_core.compress.int4 import quantize_int4, round_groups
from tissu_core.layers.int8 import Int8Linear
from tissu_core.layers.packed import PackedLinear
from tissu_core.models.decoder import Decoder
from tissu_core.models.packed import packing_of, unpacked

CONFIG = make_config(hidden_size=64, intermediate_size=128, head_dim=16)
Method = Callable[[Decoder], None]


def by_rtn(model: Decoder) -> None:
    quantize_int4(model, 32)


def by_gptq(model: Decoder) -> None:
    assert [*quantize_gptq(model, [random_ids(2, 40)], 32)] == [1, 2]


def by_awq(model: Decoder) -> None:
    assert [*quantize_awq(model, [random_ids(2, 40)], 32)] == [1, 2]


def test_a_weight_is_moved_to_the_nearest_of_its_groups_levels() -> None:
    weight = torch.randn(6, 4, 32) * torch.logspace(-2, 0, 6)[:, None, None]
    scale, low = choose_levels(weight, 4)
    rounded = restored(round_to(weight, scale, low, 4), scale, low)
    levels = torch.arange(16) * scale.float()[..., None] + low.float()[..., None]
    nearest = (weight[..., None] - levels[:, :, None]).abs().amin(-1)
    torch.testing.assert_close((weight - rounded).abs(), nearest, atol=1e-4, rtol=1e-3)
    whole = (weight.amax(-1) - weight.amin(-1)) / 15
    plain = restored(
        round_to(weight, whole.half(), weight.amin(-1).half(), 4), whole, weight.amin(-1)
    )
    assert (rounded - weight).square().sum() < (plain - weight).square().sum()


@pytest.mark.parametrize("value", [0.0, 1e-12, 6e4])
def test_groups_of_one_value_stay_that(value: float) -> None:
    made = round_groups(torch.full((3, 64), value), 32)
    torch.testing.assert_close(made.dequantize(), torch.full((3, 64), value), atol=1e-7, rtol=1e-3)


def test_making_up_for_errors_changes_outputs_less() -> None:
    x = torch.randn(500, 32) @ torch.randn(32, 64) / 6 + 0.1 * torch.randn(500, 64)
    weight = torch.randn(48, 64)
    expected = x @ weight.T

    def wrong(rounded: torch.Tensor) -> float:
        return float((x @ rounded.T - expected).square().mean())

    nearest = wrong(round_groups(weight, 32).dequantize())
    assert wrong(round_by_gram(weight, x.T @ x, 32).dequantize()) < 0.7 * nearest


@pytest.mark.parametrize("method", [by_rtn, by_gptq, by_awq])
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"tie_word_embeddings": True},
        {"use_bias": True, "qk_norm": False, "norm": "layernorm", "num_key_value_heads": 4},
        {"position_embedding": "learned", "feed_forward": "gelu"},
        {"num_local_experts": 4, "num_experts_per_tok": 2},
    ],
)
def test_a_packed_model_computes_with_its_rounded_weights(
    method: Method, changes: dict[str, object]
) -> None:
    config = make_config(hidden_size=64, intermediate_size=128, head_dim=16, **changes)
    model = make_model(config)
    exact = copy.deepcopy(model)
    method(model)
    assert packing_of(model) == "int4"
    assert isinstance(model.model.layers[0].self_attn.q_proj, PackedLinear)
    assert isinstance(model.lm_head, Int8Linear)
    assert not any(isinstance(module, nn.Linear) for module in model.modules()) or changes.get(
        "num_local_experts"
    )
    ids = random_ids(2, 20)
    with torch.no_grad():
        found = model(ids)
        torch.testing.assert_close(found, unpacked(model)(ids), atol=1e-4, rtol=1e-4)
        if not config.num_local_experts:  # another expert is another model
            assert (found - exact(ids)).abs().max() < 0.5 * exact(ids).abs().max()
        assert not torch.equal(found, exact(ids))


def test_what_groups_do_not_divide_is_int8() -> None:
    model = quantize_int4(make_model(make_config(hidden_size=32, intermediate_size=88)), 32)
    mlp = model.model.layers[0].mlp
    assert isinstance(mlp.up_proj, PackedLinear)
    assert isinstance(mlp.down_proj, Int8Linear)
