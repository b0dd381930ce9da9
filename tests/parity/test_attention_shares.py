"""What a head is shown to read is what its layer's output is made of, and what transformers says.

``pytest -rP tests/parity/test_attention_shares.py`` prints the differences.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.architectures import ARCHITECTURES, TIME, save
from tests.samples import CPU, make_config, make_model, random_ids
from tissu_core.checkpoint.model_directory import load_model
from tissu_core.compress.int4 import quantize_int4
from tissu_core.layers.packed import PackedLinear
from tissu_core.models.decoder import Decoder
from tissu_core.models.fuse import fuse
from tissu_core.models.observe import observe_attention
from tissu_core.text.tokenizer import Tokenizer

SHAPES: dict[str, dict[str, Any]] = {
    "grouped": {},
    "one key head": {"num_key_value_heads": 1},
    "window": {"sliding_window": 6},
    "window in one layer": {"sliding_window": 6, "sliding_layers": (1,)},
    "slopes": {"position_embedding": "alibi"},
    "slopes and window": {"position_embedding": "alibi", "sliding_window": 6},
    "capped": {"attn_logit_softcapping": 0.5},
    "scaled": {"query_pre_attn_scalar": 40},
    "learned": {"position_embedding": "learned"},
    "no rope in one layer": {"rope_layers": (0,)},
}


@contextmanager
def entering(model: Decoder, inputs: dict[int, tuple[Any, ...]]) -> Iterator[None]:
    """While it is open, keep what enters and leaves each attention."""
    hooks = [
        layer.self_attn.register_forward_hook(
            lambda module, given, out, index=index: inputs.update({index: (*given[:2], out)})
        )
        for index, layer in enumerate(model.model.layers)
    ]
    yield
    for hook in hooks:
        hook.remove()


@torch.no_grad()
def shares_of(model: Decoder, ids: Tensor) -> list[Tensor]:
    """Each layer's shares; checked to be rows of 1, causal, and what the layer's output is of."""
    found: dict[int, Tensor] = {}
    inputs: dict[int, tuple[Any, ...]] = {}
    layers = range(model.config.num_hidden_layers)
    wanted = {index: lambda shares, index=index: found.update({index: shares}) for index in layers}
    with entering(model, inputs), observe_attention(model, wanted):
        model(ids)
    for index, layer in enumerate(model.model.layers):
        shares, attention = found[index], layer.self_attn
        assert shares.dtype == torch.float32
        assert (shares.sum(-1) - 1).abs().max() < 1e-5
        assert not shares.triu(1).any()
        x, rope, out = inputs[index]
        values = attention._project(x, rope if attention.has_rope else None)[2].transpose(1, 2)
        values = values.repeat_interleave(attention.num_heads // attention.num_kv_heads, dim=1)
        mixed = attention.o_proj((shares @ values).transpose(1, 2).flatten(2))
        difference = (mixed - out).abs().max().item()
        assert difference < 1e-5
        print(f"layer {index} output {difference:.1e}")  # noqa: T201
    return [found[index] for index in layers]


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_shares_are_those_of_transformers(
    name: str, tiny_tokenizer: Tokenizer, tmp_path: Path
) -> None:
    theirs = save(name, tmp_path, tiny_tokenizer)
    ids = random_ids(2, TIME)
    ours = shares_of(load_model(tmp_path, CPU).model, ids)
    with torch.no_grad():
        expected = theirs(ids, output_attentions=True).attentions
    differences = [(a - b).abs().max().item() for a, b in zip(ours, expected, strict=True)]
    print(name, *(f"{difference:.1e}" for difference in differences))  # noqa: T201
    assert max(differences) < 1e-5


@pytest.mark.parametrize("name", SHAPES)
def test_the_layers_output_is_of_its_shares(name: str) -> None:
    ids = random_ids(2, 30)
    shares_of(make_model(make_config(**SHAPES[name])), ids)


def test_a_window_hides_what_is_behind_it() -> None:
    layered = {"sliding_window": 6, "sliding_layers": (1,)}
    full, windowed = shares_of(make_model(make_config(**layered)), random_ids(1, 30))
    assert full.tril(-6).any()
    assert not windowed.tril(-6).any()


@pytest.mark.parametrize("qk_norm", [True, False])
def test_fused_projections_have_the_same_shares(qk_norm: bool) -> None:
    ids = random_ids(1, 20)
    plain = shares_of(make_model(make_config(qk_norm=qk_norm)), ids)
    fused = shares_of(fuse(make_model(make_config(qk_norm=qk_norm))), ids)
    for one, other in zip(plain, fused, strict=True):
        torch.testing.assert_close(one, other, atol=1e-6, rtol=1e-5)


def test_packed_projections_are_seen() -> None:
    model = make_model(make_config(hidden_size=64, head_dim=16))
    before = shares_of(model, random_ids(1, 20))
    packed = quantize_int4(model, 32)
    assert isinstance(packed.model.layers[0].self_attn.q_proj, PackedLinear)
    after = shares_of(packed, random_ids(1, 20))
    assert 1e-4 < (after[0] - before[0]).abs().max() < 0.3
