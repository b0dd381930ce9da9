"""The compiled attention of prompts computes what torch does, and only what it can."""

import math

import pytest
import torch
from torch import Tensor

from tests.samples import make_config, make_model, random_ids
from tissu_core.decoding.native_attention import NativeAttention
from tissu_core.layers.attention import Attention
from tissu_core.models.decoder import Decoder
from tissu_core.native.library import compile_library, find_compiler

pytestmark = [
    pytest.mark.skipif(find_compiler() is None, reason="there is no C compiler"),
    pytest.mark.usefixtures("several_threads"),
]
SIZES = {"hidden_size": 64, "head_dim": 16, "max_position_embeddings": 128}
KINDS = {"this processor's": [], "8 lanes": ["-mno-avx512f"], "no vectors": ["-mno-avx2"]}


@pytest.fixture(scope="module", params=KINDS)
def attention(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> NativeAttention:
    """Compiled with all that this processor can, and with less of it."""
    directory, compiler = tmp_path_factory.mktemp("native"), find_compiler()
    wrapper = directory / "cc"
    wrapper.write_text(f'#!/bin/sh\nexec {compiler} "$@" {" ".join(KINDS[request.param])}\n')
    wrapper.chmod(0o755)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CC", str(wrapper))
        made = compile_library(directory)
    if made is None:
        pytest.skip("the compiler does not know this processor's flags")
    return NativeAttention(made)


def dtype_of(attention: NativeAttention) -> torch.dtype | None:
    few = torch.zeros(1, 1, 40, 16)
    with torch.no_grad():
        kinds = (torch.float32, torch.bfloat16)
        return next((kind for kind in kinds if attention.suits(few.to(kind))), None)


def expected(queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    group, time, seen = queries.shape[1] // keys.shape[1], queries.shape[2], keys.shape[2]
    queries, keys, values = (x.double() for x in (queries, keys, values))
    keys, values = (x.repeat_interleave(group, 1) for x in (keys, values))
    scores = queries @ keys.mT / math.sqrt(queries.shape[-1])
    later = torch.ones(time, seen, dtype=torch.bool).triu(seen - time + 1)
    return scores.masked_fill(later, float("-inf")).softmax(-1) @ values


@pytest.mark.parametrize(
    ("time", "seen", "heads", "kv_heads", "width"),
    [
        (32, 32, 4, 4, 16),
        (33, 97, 9, 3, 64),
        (100, 611, 6, 2, 80),
        (257, 257, 5, 1, 128),
        (520, 520, 2, 1, 48),
    ],
)
@pytest.mark.parametrize("size", [1.0, 30.0])  # where few keys get all
def test_it_is_causal_attention(
    time: int,
    seen: int,
    heads: int,
    kv_heads: int,
    width: int,
    size: float,
    attention: NativeAttention,
) -> None:
    dtype = dtype_of(attention)
    if dtype is None:
        pytest.skip("it is left to torch here")
    queries = size * torch.randn(2, time, heads, width).to(dtype).transpose(1, 2)
    kept = torch.randn(2, 2, kv_heads, seen + 50, width).to(dtype)[:, :, :, :seen]
    with torch.no_grad():
        found = attention(queries, *kept)
    exact = expected(queries, *kept)
    assert found.shape == exact.shape
    assert found.dtype == dtype
    rounding = 1e-2 if dtype == torch.bfloat16 else 1e-4
    torch.testing.assert_close(found.double(), exact, atol=rounding, rtol=rounding)


def test_what_is_no_number_stays_none(attention: NativeAttention) -> None:
    dtype = dtype_of(attention)
    if dtype is None:
        pytest.skip("it is left to torch here")
    queries, keys, values = (torch.randn(1, 1, 40, 16).to(dtype) for _ in range(3))
    keys[0, 0, 20, 3] = float("nan")
    with torch.no_grad():
        found = attention(queries, keys, values)
    assert found[0, 0, :20].isfinite().all()
    assert found[0, 0, 20:].isnan().all()


def test_what_it_does_not_compute_is_left_to_torch(attention: NativeAttention) -> None:
    queries = torch.zeros(1, 1, 40, 16)
    for dtype in (torch.float32, torch.bfloat16):
        assert not attention.suits(queries.to(dtype))  # gradients are asked for
    with torch.no_grad():
        for dtype in (torch.float16, torch.float32, torch.bfloat16):
            given = queries.to(dtype)
            assert attention.suits(given) == (dtype == dtype_of(attention))
            assert not attention.suits(given[:, :, :3])
            assert not attention.suits(given[..., :12])


class Counted:
    """An attention that counts its calls."""

    def __init__(self, attention: NativeAttention) -> None:
        self._attention, self.calls = attention, 0

    def suits(self, queries: Tensor) -> bool:
        return self._attention.suits(queries)

    def __call__(self, queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        self.calls += 1
        return self._attention(queries, keys, values)


def read(model: Decoder, dtype: torch.dtype, padding: Tensor | None) -> Tensor:
    """Logits of 40 tokens, and of 40 behind them and of one more."""
    model.read_dtype = None if dtype == torch.float32 else dtype
    cache, ids = model.new_cache(), random_ids(2, 81)
    with torch.no_grad():
        spans = ((0, 40), (40, 80), (80, 81))
        return torch.cat([model(ids[:, a:b], cache, padding=padding) for a, b in spans], 1)


@pytest.mark.parametrize(
    ("changes", "is_padded", "is_used"),
    [
        ({}, False, True),
        ({}, True, False),
        ({"sliding_window": 8}, False, False),
        ({"attn_logit_softcapping": 5.0}, False, False),
        ({"position_embedding": "alibi"}, False, False),
    ],
)
def test_a_model_reads_as_before(
    changes: dict[str, object],
    is_padded: bool,
    is_used: bool,
    attention: NativeAttention,
) -> None:
    dtype = dtype_of(attention)
    if dtype is None:
        pytest.skip("it is left to torch here")
    model = make_model(make_config(**SIZES, **changes))
    padding = torch.tensor([3, 0]) if is_padded else None
    before, counted = read(model, dtype, padding), Counted(attention)
    for layer in model.modules():
        if isinstance(layer, Attention):
            layer.reader = counted
    found = read(model, dtype, padding)
    assert counted.calls == (2 * model.config.num_hidden_layers if is_used else 0)
    wrong = (found - before).square().mean() / before.square().mean()
    assert wrong < (1e-4 if dtype == torch.bfloat16 else 1e-10)
