import pytest
import torch

from tests.samples import make_config, make_model, random_ids
from tissu_core.layers.eager_attention import BLOCK, eager_attention
from tissu_core.layers.masks import attention_mask
from tissu_core.layers.soft_cap import soft_cap


def test_a_cap_is_the_limit_and_small_numbers_stay() -> None:
    x = torch.tensor([-1e6, -3.0, -0.01, 0.0, 0.01, 3.0, 1e6])
    capped = soft_cap(x, 30.0)
    assert capped.abs().max() == 30
    torch.testing.assert_close(capped[1:-1], x[1:-1], atol=0.02, rtol=0)


@pytest.mark.parametrize("window", [None, 5])
@pytest.mark.parametrize("slopes", [(), (0.5, 0.25, 0.125, 0.0625)])
@pytest.mark.parametrize("time", [1, 7, BLOCK + 3])
def test_capped_attention_equals_the_formula_forward_and_backward(
    time: int, slopes: tuple[float, ...], window: int | None
) -> None:
    queries = torch.randn(2, 4, time, 6, requires_grad=True)
    keys, values = (torch.randn(2, 2, time + 2, 6, requires_grad=True) for _ in range(2))
    mask = attention_mask(time, time + 2, window, slopes, queries.device)
    ours = eager_attention(queries, keys, values, mask, cap=0.7, dropout=0.0)
    scores = queries @ keys.repeat_interleave(2, dim=1).mT / 6**0.5
    bias = torch.zeros(mask.shape).masked_fill(~mask, -torch.inf) if not slopes else mask
    shares = (0.7 * torch.tanh(scores / 0.7) + bias).softmax(-1)
    theirs = shares @ values.repeat_interleave(2, dim=1)
    torch.testing.assert_close(ours, theirs, atol=1e-6, rtol=1e-5)
    upstream, leaves = torch.randn_like(ours), (queries, keys, values)
    mine = torch.autograd.grad(ours, leaves, upstream)
    for one, other in zip(mine, torch.autograd.grad(theirs, leaves, upstream), strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-4)


def test_dropout_keeps_the_mean() -> None:
    queries, keys = torch.randn(1, 1, 200, 4), torch.randn(1, 1, 200, 4)
    mask = attention_mask(200, 200, None, (), queries.device)
    out = eager_attention(queries, keys, torch.ones(1, 1, 200, 4), mask, cap=5.0, dropout=0.5)
    assert out.std() > 0.05
    assert out[0, 0, 50:].mean().item() == pytest.approx(1.0, abs=0.1)


@pytest.mark.filterwarnings("ignore:Dynamo detected a call to a `functools.lru_cache`")
def test_a_compiler_traces_capped_attention_and_its_mask_in_one_piece() -> None:
    config = make_config(num_hidden_layers=1, attn_logit_softcapping=0.5, sliding_window=6)
    stack = make_model(config).model
    ids = random_ids(2, 20)
    expected = stack(ids)
    traced = torch.compile(stack, backend="eager", fullgraph=True)
    torch.testing.assert_close(traced(ids), expected, atol=1e-6, rtol=1e-5)
