"""A model made to decode computes what the plain one does."""

import copy

import pytest
import torch

from tests.parity.test_architectures import ROWS, config_of
from tests.samples import make_config, make_model, random_ids
from tissu_core.compress.int4 import quantize_int4
from tissu_core.compress.int8 import quantize_int8
from tissu_core.models.decoder import Decoder
from tissu_core.models.fuse import fuse


def compare(plain: Decoder) -> None:
    fused = fuse(copy.deepcopy(plain))
    ids = random_ids(2, 40)
    cache = fused.new_cache()
    with torch.no_grad():
        expected = plain(ids)
        parts = [fused(part, cache) for part in ids.split([9, 1, 1, 17, 1, 11], dim=1)]
        torch.testing.assert_close(fused(ids), expected, atol=2e-5, rtol=1e-4)
    torch.testing.assert_close(torch.cat(parts, dim=1), expected, atol=2e-5, rtol=1e-4)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: "-".join(map(str, row.values())))
def test_fused_matrices_change_nothing(row: dict[str, object]) -> None:
    compare(make_model(config_of(row)))


def test_packed_matrices_are_fused_as_they_are() -> None:
    config = make_config(hidden_size=64, intermediate_size=128, head_dim=16, use_bias=True)
    for model in (quantize_int8(make_model(config)), quantize_int4(make_model(config), 32)):
        compare(model)


def test_matrices_of_two_kinds_stay_apart() -> None:
    model = quantize_int4(make_model(make_config(hidden_size=64, head_dim=16)), 32)
    attention = model.model.layers[0].self_attn
    attention.v_proj = (
        make_model(make_config(hidden_size=64, head_dim=16)).model.layers[0].self_attn.v_proj
    )
    compare(model)
    fused = fuse(model).model.layers
    assert fused[0].self_attn.qkv_proj is None
    assert fused[1].self_attn.qkv_proj is not None
