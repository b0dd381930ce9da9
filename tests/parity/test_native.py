"""The compiled step computes what torch does, for every architecture that it takes."""

import ctypes
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from tests.parity.test_architectures import ROWS, config_of
from tests.samples import make_config, make_model, random_ids
from tissu_core.compress.int4 import quantize_int4
from tissu_core.compress.int8 import quantize_int8
from tissu_core.decoding import choice
from tissu_core.decoding.choice import Choice, find_choice
from tissu_core.decoding.native_product import NativeProduct
from tissu_core.decoding.native_step import NativeStep, suits_library
from tissu_core.layers.packed import PackedLinear, pack
from tissu_core.models.decoder import Decoder
from tissu_core.models.packed import lay_in_panels, pack_for_products
from tissu_core.native.library import compile_library, find_compiler, find_library

pytestmark = pytest.mark.skipif(find_compiler() is None, reason="there is no C compiler")


pytestmark = [pytestmark, pytest.mark.usefixtures("several_threads")]


def found_and_expected(
    model: Decoder, library: ctypes.CDLL, padding: torch.Tensor | None = None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits of twenty steps behind nine tokens, by the library and by torch."""
    assert suits_library(model)
    step, ids = NativeStep(model, library), random_ids(2, 29)
    logits = []
    with torch.no_grad():
        for compute in (step, model):
            cache = model.new_cache()
            model(ids[:, :9], cache, padding=padding)
            parts = [compute(ids[:, at : at + 1], cache, padding=padding) for at in range(9, 29)]
            logits.append(torch.cat(parts, 1))
    return logits[0], logits[1]


PLAIN = [row for row in ROWS if not row["num_local_experts"]]


@pytest.mark.parametrize("row", PLAIN, ids=lambda row: "-".join(map(str, row.values())))
@pytest.mark.parametrize("is_padded", [False, True])
def test_a_plain_model_has_the_same_logits(
    row: dict[str, object], is_padded: bool, library: ctypes.CDLL
) -> None:
    padding = torch.tensor([4, 0]) if is_padded else None
    found, expected = found_and_expected(make_model(config_of(row)), library, padding)
    torch.testing.assert_close(found, expected, atol=5e-5, rtol=1e-3)


@pytest.mark.parametrize("bits", [4, 8])
@pytest.mark.parametrize("changes", [{}, {"sliding_window": 8}, {"tie_word_embeddings": True}])
def test_a_packed_model_differs_by_the_rounding_of_activations(
    bits: int, changes: dict[str, object], library: ctypes.CDLL
) -> None:
    config = make_config(hidden_size=64, intermediate_size=128, head_dim=16, **changes)
    model = make_model(config)
    model = quantize_int4(model, 32) if bits == 4 else quantize_int8(model)
    model = lay_in_panels(pack_for_products(model))
    model.cache_dtype = torch.float16
    found, expected = found_and_expected(model, library)
    assert (found - expected).square().mean() < 2e-3 * expected.square().mean()


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"num_attention_heads": 6, "num_key_value_heads": 1, "head_dim": 48},
        {"num_attention_heads": 3, "num_key_value_heads": 3},
        {"sliding_window": 21},
        {"attn_logit_softcapping": 5.0},
        {"position_embedding": "alibi"},
    ],
    ids=str,
)
@pytest.mark.parametrize("padding", [None, [19, 0]])
def test_a_cache_in_fp16_is_read_in_8_bits_whatever_was_done_to_it(
    changes: dict[str, object], padding: list[int] | None, library: ctypes.CDLL
) -> None:
    shape: dict[str, object] = {"hidden_size": 64, "head_dim": 64, "max_position_embeddings": 400}
    model = make_model(make_config(**{**shape, **changes}))
    model.cache_dtype = torch.float16
    step, ids = NativeStep(model, library), random_ids(2, 400)

    def logits(compute: Callable[..., torch.Tensor]) -> torch.Tensor:
        cache, found = model.new_cache(), []
        before = None if padding is None else torch.tensor(padding)
        for read, written in ((30, 40), (151, 33), (2, 7)):
            end = cache.length + read
            model(ids[:, cache.length : end], cache, padding=before)
            for at in range(end, end + written):
                found.append(compute(ids[:, at : at + 1], cache, padding=before))
        cache.keep([1], cache.length - 5)
        found += [compute(ids[1:, at : at + 1], cache) for at in range(cache.length, 320)]
        joining = model.new_cache()
        model(ids[:1, :50], joining)
        cache.join(joining)
        before = torch.tensor([0, cache.length - 50])
        found += [compute(ids[:, at : at + 1], cache, padding=before) for at in range(320, 330)]
        return torch.cat(found)[:, 0]

    with torch.no_grad():
        found, expected = logits(step), logits(model)
    wrong = (found - expected).square().mean(-1) / expected.square().mean(-1)
    assert wrong.mean() < 2e-4
    assert wrong.max() < 2e-3


@pytest.mark.parametrize("bits", [4, 8])
@pytest.mark.parametrize(
    ("size", "group"), [(96, 32), (384, 32), (384, 64), (384, 128), (384, 384)]
)
@pytest.mark.parametrize("rows", [1, 2, 3, 33])
def test_products_are_those_of_the_unpacked_weights(
    bits: int, size: int, group: int, rows: int, library: ctypes.CDLL
) -> None:
    layer = some_packed(bits, size, group)
    x = torch.randn(2, rows, size)
    with torch.no_grad():
        expected = layer(x)
        layer.to_panels()
        found, unpacked = NativeProduct(layer, library)(x), NativeProduct(layer, library, 0)(x)
        with torch.autocast("cpu", torch.bfloat16):
            halved = NativeProduct(layer, library, 0)(x)
    assert found.shape == unpacked.shape == halved.shape == expected.shape
    power = expected.square().mean()
    assert (found - expected).square().mean() < 2e-4 * power  # activations of 8 bits
    assert (unpacked - expected).square().mean() < 1e-6 * power  # scales of fp16
    assert halved.dtype == torch.bfloat16
    assert (halved.float() - expected).square().mean() < 5e-5 * power


def test_rows_in_panels_are_the_rows_that_they_were() -> None:
    layer = some_packed(4, 96, 32)
    before = layer.dequantize()
    layer.to_panels()
    assert layer.dequantize() == pytest.approx(before, rel=2e-3, abs=2e-3)
    ids = torch.tensor([49, 0, 17, 17])
    assert torch.equal(layer.dequantize(ids), layer.dequantize()[ids])
    assert torch.equal(layer.dequantize(slice(15, 33)), layer.dequantize()[15:33])


def test_how_long_prompts_are_read_is_measured_once(
    library: ctypes.CDLL, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copied = Path(shutil.copy(library._name, tmp_path))
    own = ctypes.CDLL(str(copied))
    first = find_choice(own)
    monkeypatch.setattr(choice, "_measured", lambda _: Choice(7, False))
    assert find_choice(own) == first
    kept = copied.with_suffix(".json")
    kept.write_text("{")  # of a disk that was full
    assert find_choice(own) == find_choice(own) == Choice(7, False)
    kept.write_text('{"something": "else"}')
    assert find_choice(own) == Choice(7, False)


def some_packed(bits: int, size: int, group: int) -> PackedLinear:
    layer = PackedLinear(size, 50, bits, group, bias=True)
    layer.weight = pack(torch.randint(0, 2**bits, (50, size), dtype=torch.uint8), bits)
    layer.weight_scale = 0.1 * torch.rand(50, size // group)
    layer.weight_min = -torch.rand(50, size // group) * 2**bits / 20
    assert layer.bias is not None
    torch.nn.init.normal_(layer.bias)
    return layer


def test_mixtures_of_experts_are_left_to_torch() -> None:
    assert not suits_library(make_model(make_config(num_local_experts=4, num_experts_per_tok=2)))


@pytest.mark.parametrize("size", [1e6, float("nan")])
def test_scales_that_fp16_does_not_hold_are_left_to_torch(size: float) -> None:
    config = make_config(hidden_size=64, intermediate_size=128, head_dim=16)
    model = pack_for_products(quantize_int4(make_model(config), 32))
    assert suits_library(model)
    model.get_submodule("model.layers.1.mlp.down_proj").weight_scale = torch.full((64, 4), size)
    assert not suits_library(model)


def test_a_broken_compiler_leaves_it_to_torch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CC", "false")
    assert compile_library(tmp_path) is None
    assert find_library(tmp_path) is None
