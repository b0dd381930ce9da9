"""Activations that are computed again give the gradients of those that are kept."""

import pytest
import torch

from tests.samples import make_config, make_model, random_ids
from tissu_core.training.objectives.next_token import next_token

WINDOWS = random_ids(3, 17)


def gradients(what: str, dropout: float, precision: torch.dtype) -> dict[str, torch.Tensor]:
    model = make_model(make_config())
    model.set_dropout(dropout)
    model.set_recompute(what)
    model.train()
    torch.manual_seed(7)
    with torch.autocast("cpu", precision, enabled=precision != torch.float32):
        next_token(model, WINDOWS).loss_sum.backward()
    found = {name: p.grad for name, p in model.named_parameters()}
    return {name: grad for name, grad in found.items() if grad is not None}


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("dropout", [0.0, 0.3])
@pytest.mark.parametrize("what", ["block", "ffn"])
def test_gradients_are_equal_to_the_bit(what: str, dropout: float, precision: torch.dtype) -> None:
    kept = gradients("none", dropout, precision)
    again = gradients(what, dropout, precision)
    assert len(kept) > 10
    assert kept.keys() == again.keys()
    for name, gradient in kept.items():
        assert torch.equal(gradient, again[name]), name


def kept_bytes(what: str) -> int:
    """What autograd holds between the way forward and the way back."""
    model = make_model(make_config())
    model.set_recompute(what)
    model.train()
    held: dict[int, int] = {}

    def hold(tensor: torch.Tensor) -> torch.Tensor:
        held[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(hold, lambda tensor: tensor):
        hidden = model.model(WINDOWS)
    assert hidden.requires_grad
    return sum(held.values())


def test_less_is_kept() -> None:
    assert kept_bytes("block") < kept_bytes("ffn") < kept_bytes("none")
