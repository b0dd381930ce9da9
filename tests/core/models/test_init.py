import pytest
import torch
from torch import nn

from tests.samples import CPU, make_config, random_ids
from tissu_core.config.shape import INIT_SCHEMES
from tissu_core.models.build import build_model

WIDE = {"hidden_size": 256, "intermediate_size": 512, "head_dim": 64}
FORMULAS = {
    "xavier_uniform": nn.init.xavier_uniform_,
    "xavier_normal": nn.init.xavier_normal_,
    "kaiming_uniform": nn.init.kaiming_uniform_,
    "kaiming_normal": nn.init.kaiming_normal_,
}


@pytest.mark.parametrize("scheme", FORMULAS)
def test_matrices_spread_as_the_librarys(scheme: str) -> None:
    model = build_model(make_config(**WIDE), device=CPU, seed=1, init=scheme)
    for name in ("self_attn.q_proj", "self_attn.o_proj", "mlp.up_proj", "mlp.down_proj"):
        weight = model.get_submodule(f"model.layers.1.{name}").weight
        expected = FORMULAS[scheme](torch.empty_like(weight))
        assert weight.std().item() == pytest.approx(expected.std().item(), rel=0.02), name
        assert weight.abs().max().item() == pytest.approx(expected.abs().max().item(), rel=0.2)


def test_gpt2_scales_what_blocks_put_out() -> None:
    model = build_model(make_config(**WIDE), device=CPU, seed=1, init="gpt2")
    block = model.model.layers[0]
    assert block.mlp.up_proj.weight.std().item() == pytest.approx(0.02, rel=0.02)
    assert block.mlp.down_proj.weight.std().item() == pytest.approx(0.01, rel=0.02)  # sqrt(2 x 2)
    assert model.model.embed_tokens.weight.std().item() == pytest.approx(0.02, rel=0.02)


@pytest.mark.parametrize("scheme", INIT_SCHEMES)
def test_biases_are_zero_and_norms_one(scheme: str) -> None:
    config = make_config(norm="layernorm", use_bias=True, position_embedding="learned")
    model = build_model(config, device=CPU, seed=1, init=scheme)
    for name, parameter in model.named_parameters():
        if name.endswith("bias"):
            assert not parameter.any(), name
        elif parameter.ndim == 1:
            assert (parameter == 1).all(), name


@pytest.mark.parametrize("scheme", ["identity", "gpt2"])
def test_activations_spread_alike_in_24_layers(scheme: str) -> None:
    """The schemes by fan alone, torch's own, add up: theirs grow with the root of the depth."""
    model = build_model(make_config(num_hidden_layers=24), device=CPU, seed=1, init=scheme)
    spreads: list[float] = []
    for layer in model.model.layers:
        layer.register_forward_hook(lambda module, given, out: spreads.append(out.std().item()))
    with torch.no_grad():
        model(random_ids(2, 16))
    assert len(spreads) == 24
    assert max(spreads) < 2 * min(spreads)
