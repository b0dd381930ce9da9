"""Layers and their twins in torch and transformers."""

import pytest
import torch
from transformers.models.qwen3.modeling_qwen3 import apply_rotary_pos_emb

from tests.samples import CPU
from tissu_core.layers.norms import RMSNorm
from tissu_core.layers.rope import apply_rope, rope_tables


def test_rope_equals_transformers() -> None:
    queries, keys = torch.randn(2, 11, 4, 8), torch.randn(2, 11, 2, 8)
    cos, sin = rope_tables(11, 8, 10_000.0, CPU)
    wide = [torch.cat([table, table], dim=-1)[None] for table in (cos, sin)]
    expected = apply_rotary_pos_emb(queries, keys, *wide, unsqueeze_dim=2)
    torch.testing.assert_close(apply_rope(queries, cos, sin), expected[0], atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(apply_rope(keys, cos, sin), expected[1], atol=1e-6, rtol=1e-5)


def test_gradient_of_rope_equals_that_of_transformers() -> None:
    ours = torch.randn(1, 9, 2, 8, requires_grad=True)
    theirs = ours.detach().clone().requires_grad_()
    cos, sin = rope_tables(9, 8, 10_000.0, CPU)
    wide = [torch.cat([table, table], dim=-1)[None] for table in (cos, sin)]
    upstream = torch.randn(1, 9, 2, 8)
    apply_rope(ours, cos, sin).backward(upstream)
    apply_rotary_pos_emb(theirs, theirs, *wide, unsqueeze_dim=2)[0].backward(upstream)
    torch.testing.assert_close(ours.grad, theirs.grad, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_norm_equals_torchs(dtype: torch.dtype) -> None:
    ours, theirs = RMSNorm(24, 1e-6), torch.nn.RMSNorm(24, eps=1e-6).to(dtype)
    with torch.no_grad():
        ours.weight.uniform_(0.5, 1.5)
        theirs.weight.copy_(ours.weight)
    x = torch.randn(3, 5, 24).to(dtype)
    out = ours(x)
    assert out.dtype == dtype
    torch.testing.assert_close(out, theirs(x))


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_gradients_of_the_norm_equal_torchs(dtype: torch.dtype) -> None:
    ours, theirs = RMSNorm(24, 1e-2).to(dtype), torch.nn.RMSNorm(24, eps=1e-2).to(dtype)
    with torch.no_grad():
        ours.weight.uniform_(0.5, 1.5)
        theirs.weight.copy_(ours.weight)
    x = torch.randn(3, 24, 5).to(dtype)  # transposed below: gradients come in any layout
    grads, tolerance = [], 0.03 if dtype == torch.bfloat16 else 1e-12
    for norm in (ours, theirs):
        leaf = x.clone().requires_grad_()
        (norm(leaf.transpose(1, 2)) * x.transpose(1, 2).sin()).sum().backward()
        grads.append((leaf.grad, norm.weight.grad))
    torch.testing.assert_close(grads[0], grads[1], atol=tolerance, rtol=tolerance)
