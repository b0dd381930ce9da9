import copy

import pytest
import torch

from tests.samples import make_config, make_model, random_ids
from tissu_core.compress.int8 import quantize_int8, quantize_rows
from tissu_core.layers.int8 import Int8Embedding, Int8Linear
from tissu_core.models.decoder import Decoder


def test_rows_are_rounded_to_the_nearest_step() -> None:
    weight = torch.randn(7, 50) * torch.logspace(-6, 3, 7)[:, None]
    rounded, scale = quantize_rows(weight)
    assert rounded.dtype == torch.int8
    torch.testing.assert_close(scale, weight.abs().amax(1) / 127)
    assert ((rounded * scale[:, None] - weight).abs() <= 0.5001 * scale[:, None]).all()
    assert (rounded.abs().amax(1) == 127).all()


@pytest.mark.parametrize("value", [0.0, 1e-42, 3e38])
def test_extreme_rows_stay_finite(value: float) -> None:
    rounded, scale = quantize_rows(torch.full((1, 4), value))
    assert (rounded * scale[:, None]).isfinite().all()
    if value == 0:
        assert not rounded.any()


def dequantized(model: Decoder) -> Decoder:
    """A plain model that holds the rounded numbers."""
    plain = make_model(model.config)
    state = dict(plain.state_dict())
    for name, module in model.named_modules():
        if isinstance(module, Int8Linear):
            state[f"{name}.weight"] = module.dequantize()
            if module.bias is not None:
                state[f"{name}.bias"] = module.bias
        elif isinstance(module, Int8Embedding):
            state[f"{name}.weight"] = module.weight * module.weight_scale[:, None]
        else:
            state |= {f"{name}.{key}": p for key, p in module.named_parameters(recurse=False)}
    plain.load_state_dict(state)
    return plain


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"tie_word_embeddings": True},
        {"use_bias": True, "qk_norm": False, "norm": "layernorm"},
        {"position_embedding": "learned", "feed_forward": "gelu"},
    ],
)
def test_int8_computes_with_its_rounded_weights(changes: dict[str, object]) -> None:
    model = make_model(make_config(**changes))
    exact = copy.deepcopy(model)
    packed = quantize_int8(model)
    ids = random_ids(2, 20)
    with torch.no_grad():
        found = packed(ids)
        torch.testing.assert_close(found, dequantized(packed)(ids), atol=1e-4, rtol=1e-4)
        assert (found - exact(ids)).abs().max() < 0.1 * exact(ids).abs().max()
        assert not torch.equal(found, exact(ids))


def test_int8_takes_a_quarter_of_the_memory() -> None:
    def num_bytes(model: Decoder) -> int:
        storages = {t.data_ptr(): t.nbytes for t in model.state_dict().values()}
        return sum(storages.values())

    config = make_config(hidden_size=128, intermediate_size=384, tie_word_embeddings=True)
    model = make_model(config)
    before = num_bytes(model)
    assert num_bytes(quantize_int8(model)) < 0.28 * before
