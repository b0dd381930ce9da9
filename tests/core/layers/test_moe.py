import pytest
import torch

from tests.samples import make_config, make_model
from tissu_core.config.model import ModelConfig
from tissu_core.errors import ConfigError
from tissu_core.layers.moe import MixtureOfExperts


def make_experts(**changes: object) -> MixtureOfExperts:
    config = make_config(**({"num_local_experts": 5, "num_experts_per_tok": 2} | changes))
    block = make_model(config).model.layers[0].mlp
    assert isinstance(block, MixtureOfExperts)
    return block


def one_by_one(block: MixtureOfExperts, x: torch.Tensor) -> torch.Tensor:
    """The formula, for a token at a time."""
    rows = []
    for token in x.flatten(0, -2):
        shares = block.gate(token).softmax(-1)
        best = shares.topk(block.chosen).indices.tolist()
        total = sum(shares[expert] for expert in best)
        rows.append(sum(shares[e] / total * block.experts[e](token) for e in best))
    return torch.stack(rows).view_as(x)


@pytest.mark.parametrize("chosen", [1, 2, 5])
def test_experts_equal_the_formula_forward_and_backward(chosen: int) -> None:
    block = make_experts(num_experts_per_tok=chosen)
    x = torch.randn(3, 7, 32, requires_grad=True)
    ours, theirs = block(x), one_by_one(block, x)
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)
    upstream = torch.randn_like(ours)
    leaves = (x, *block.parameters())
    mine = torch.autograd.grad(ours, leaves, upstream, allow_unused=True)
    other = torch.autograd.grad(theirs, leaves, upstream, allow_unused=True)
    for one, reference in zip(mine, other, strict=True):
        assert (one is None) == (reference is None)
        if one is not None:
            torch.testing.assert_close(one, reference, atol=1e-4, rtol=1e-4)


def test_an_expert_computes_its_own_tokens_only() -> None:
    block = make_experts()
    seen: list[int] = []
    for expert in block.experts:
        expert.register_forward_hook(lambda module, inputs, output: seen.append(len(inputs[0])))
    block(torch.randn(2, 9, 32))
    assert sum(seen) == 2 * 9 * 2
    seen.clear()
    block(torch.randn(1, 1, 32))
    assert seen == [1, 1]


@pytest.mark.parametrize(("experts", "chosen"), [(4, 5), (4, 0), (0, 1), (2.5, 1), (-1, 1)])
def test_more_than_there_are_cannot_be_chosen(experts: int, chosen: int) -> None:
    with pytest.raises(ConfigError, match="num_experts_per_tok"):
        make_config(num_local_experts=experts, num_experts_per_tok=chosen)


@pytest.mark.parametrize("value", [0, -1.0, "50", float("nan")])
@pytest.mark.parametrize("name", ["attn_logit_softcapping", "query_pre_attn_scalar"])
def test_a_number_that_is_none_to_compute_with_is_refused(name: str, value: object) -> None:
    with pytest.raises(ConfigError, match=name):
        make_config(**{name: value})
    assert isinstance(make_config(**{name: None}), ModelConfig)
