"""Blocked attention, cached attention and the library's own give the same numbers."""

import pytest
import torch
import torch.nn.functional as F

from tests.samples import CPU, make_config, make_model, random_ids
from tissu_core.layers.cpu_attention import BLOCK, blocked_causal_attention
from tissu_core.layers.masks import attention_mask
from tissu_core.models.decoder import Decoder


@pytest.mark.parametrize("time", [1, 2, 7, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK + 45])
def test_blocked_attention_equals_the_librarys_forward_and_backward(time: int) -> None:
    ours = [torch.randn(2, 3, time, 16, requires_grad=True) for _ in range(3)]
    theirs = [x.detach().clone().requires_grad_() for x in ours]
    upstream = torch.randn(2, 3, time, 16)
    out = blocked_causal_attention(*ours)
    expected = F.scaled_dot_product_attention(*theirs, is_causal=True)
    torch.testing.assert_close(out, expected, atol=1e-5, rtol=1e-5)
    out.backward(upstream)
    expected.backward(upstream)
    for mine, reference in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine.grad, reference.grad, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("window", [None, 1, 5, BLOCK + 3])
@pytest.mark.parametrize("has_slopes", [False, True])
@pytest.mark.parametrize("time", [7, BLOCK + 1, 2 * BLOCK + 45])
def test_blocks_with_windows_and_slopes_equal_the_librarys(
    time: int, window: int | None, *, has_slopes: bool
) -> None:
    slopes = (0.5, 0.25, 0.0625) if has_slopes else ()
    ours = [torch.randn(2, 3, time, 16, requires_grad=True) for _ in range(3)]
    theirs = [x.detach().clone().requires_grad_() for x in ours]
    distance = torch.arange(time)[:, None] - torch.arange(time)
    bias = -torch.tensor(slopes or (0.0,))[:, None, None] * distance
    bias = bias.masked_fill((distance < 0) | (distance >= (window or time)), float("-inf"))
    out = blocked_causal_attention(*ours, window, slopes)
    expected = F.scaled_dot_product_attention(*theirs, attn_mask=bias)
    torch.testing.assert_close(out, expected, atol=1e-5, rtol=1e-5)
    upstream = torch.randn(2, 3, time, 16)
    out.backward(upstream)
    expected.backward(upstream)
    for mine, reference in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine.grad, reference.grad, atol=1e-5, rtol=1e-5)


def test_blocked_attention_takes_transposed_views() -> None:
    stored = [torch.randn(2, 150, 3, 16) for _ in range(3)]
    views = [x.transpose(1, 2) for x in stored]
    expected = F.scaled_dot_product_attention(*views, is_causal=True)
    torch.testing.assert_close(blocked_causal_attention(*views), expected, atol=1e-5, rtol=1e-5)


def test_blocked_attention_passes_gradcheck_in_fp64() -> None:
    inputs = [torch.randn(1, 2, 5, 4, dtype=torch.float64, requires_grad=True) for _ in range(3)]
    assert torch.autograd.gradcheck(blocked_causal_attention, inputs)


@pytest.mark.parametrize("kv_heads", [1, 2, 4])
def test_training_and_inference_paths_agree(kv_heads: int) -> None:
    model = make_model(make_config(num_key_value_heads=kv_heads, max_position_embeddings=400))
    ids = random_ids(2, 390)
    with torch.enable_grad():
        blocked = model(ids).detach()
    with torch.no_grad():
        fused = model(ids)
    torch.testing.assert_close(blocked, fused, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("cuts", [[20], [1] * 20, [5, 1, 7, 7], [19, 1], [1, 19]])
def test_cached_reading_equals_the_full_forward(tiny_model: Decoder, cuts: list[int]) -> None:
    ids = random_ids(2, 20)
    cache = tiny_model.new_cache()
    with torch.no_grad():
        whole = tiny_model(ids)
        parts = [tiny_model(part, cache) for part in ids.split(cuts, dim=1)]
    torch.testing.assert_close(torch.cat(parts, dim=1), whole, atol=1e-5, rtol=1e-4)
    assert cache.length == 20


def test_cache_grows_to_the_whole_context() -> None:
    model = make_model(make_config(max_position_embeddings=200))
    ids = random_ids(1, 200)
    cache = model.new_cache()
    with torch.no_grad():
        whole = model(ids)
        parts = [model(part, cache) for part in ids.split([3, 60, 1, 70, 65, 1], dim=1)]
    torch.testing.assert_close(torch.cat(parts, dim=1), whole, atol=1e-5, rtol=1e-4)


def test_last_only_is_the_last_row_of_all_logits(tiny_model: Decoder) -> None:
    ids = random_ids(2, 9)
    with torch.no_grad():
        torch.testing.assert_close(
            tiny_model(ids, last_only=True), tiny_model(ids)[:, -1:], atol=1e-5, rtol=1e-5
        )


@pytest.mark.parametrize("is_training_path", [False, True])
def test_a_later_token_changes_no_earlier_logits(
    tiny_model: Decoder, *, is_training_path: bool
) -> None:
    ids = random_ids(1, 30)
    with torch.set_grad_enabled(is_training_path):
        before = tiny_model(ids).detach()
        for position in (1, 13, 29):
            changed = ids.clone()
            changed[0, position] = 16 + (ids[0, position] - 15) % 300
            after = tiny_model(changed).detach()
            assert (after[:, :position] - before[:, :position]).abs().max() < 1e-6
            assert (after[:, position] - before[:, position]).abs().max() > 1e-3


@pytest.mark.parametrize("window", [None, 3])
def test_scores_of_ten_thousand_stay_finite_and_every_query_sees_a_key(window: int | None) -> None:
    """The largest wins alone, as in an exact softmax; no row is masked whole, so none is NaN."""
    queries = 1e2 * torch.eye(8).expand(1, 2, 8, 8).contiguous().requires_grad_()
    keys, values = queries.detach() * 3, torch.arange(8.0).expand(1, 2, 8, 8).mT.contiguous()
    out = blocked_causal_attention(queries, keys, values, window)
    torch.testing.assert_close(out, values, atol=0, rtol=0)  # each query finds itself
    out.sum().backward()
    blind = blocked_causal_attention(-queries.detach(), keys, values, window)
    assert torch.isfinite(blind).all()
    assert attention_mask(8, 8, window, (), CPU).any(-1).all()
