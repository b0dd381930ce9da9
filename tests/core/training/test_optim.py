from pathlib import Path

import pytest
import torch

from tests.samples import make_config, make_model, random_ids
from tissu_core.checkpoint.training_state import (
    TrainState,
    read_training_state,
    write_training_state,
)
from tissu_core.errors import IntegrityError
from tissu_core.models.decoder import Decoder
from tissu_core.training.objectives.next_token import next_token
from tissu_core.training.optim import Optimizer, build_optimizer, default_learning_rate

NAMES = ["muon", "adamw", "rmsprop", "adam", "sgd"]


def build(model: Decoder, name: str, **changes: float) -> Optimizer:
    settings = {"learning_rate": 0.02, "weight_decay": 0.1} | changes
    return build_optimizer(model, name=name, width=32, **settings)


def take_steps(model: Decoder, optimizer: Optimizer, first: int, count: int) -> None:
    for step in range(first, first + count):
        next_token(model, random_ids(2, 9, seed=step)).loss_sum.backward()
        optimizer.step(1.0)


@pytest.mark.parametrize("is_tied", [False, True])
@pytest.mark.parametrize("name", NAMES)
def test_stored_state_goes_on_to_the_bit(tmp_path: Path, name: str, *, is_tied: bool) -> None:
    config = make_config(tie_word_embeddings=is_tied)
    straight = make_model(config)
    optimizer = build(straight, name)
    take_steps(straight, optimizer, 0, 3)
    weights = {name: t.clone() for name, t in straight.state_dict().items()}
    write_training_state(tmp_path, TrainState(step=3), optimizer.state_tensors())
    take_steps(straight, optimizer, 3, 3)

    resumed = make_model(config, seed=9)
    resumed.load_state_dict(weights)
    state, moments = read_training_state(tmp_path)
    again = build(resumed, name)
    again.load_state_tensors(moments)
    take_steps(resumed, again, 3, 3)
    assert state.step == 3
    for key, tensor in straight.state_dict().items():
        assert torch.equal(tensor, resumed.state_dict()[key]), key


@pytest.mark.parametrize("name", NAMES)
def test_state_stored_before_the_first_step_goes_on_to_the_bit(name: str) -> None:
    straight, resumed = make_model(make_config()), make_model(make_config())
    optimizer, again = build(straight, name), build(resumed, name)
    again.load_state_tensors({k: t.clone() for k, t in optimizer.state_tensors().items()})
    take_steps(straight, optimizer, 0, 2)
    take_steps(resumed, again, 0, 2)
    for key, tensor in straight.state_dict().items():
        assert torch.equal(tensor, resumed.state_dict()[key]), key


@pytest.mark.parametrize("name", NAMES)
def test_the_state_of_every_parameter_is_stored_by_name(tiny_model: Decoder, name: str) -> None:
    optimizer = build(tiny_model, name)
    take_steps(tiny_model, optimizer, 0, 1)
    stored = {key.rpartition("/")[0] for key in optimizer.state_tensors()}
    assert stored == {key for key, _ in tiny_model.named_parameters()}
    assert all(tensor.isfinite().all() for tensor in optimizer.state_tensors().values())


@pytest.mark.parametrize("name", NAMES)
def test_a_missing_moment_is_an_error(tiny_model: Decoder, name: str) -> None:
    optimizer = build(tiny_model, name)
    take_steps(tiny_model, optimizer, 0, 1)
    state = {key: tensor.clone() for key, tensor in optimizer.state_tensors().items()}
    missing = sorted(state)[3]
    del state[missing]
    with pytest.raises(KeyError, match=missing):
        build(tiny_model, name).load_state_tensors(state)


@pytest.mark.parametrize("name", NAMES)
def test_loading_state_moves_no_weight(tiny_model: Decoder, name: str) -> None:
    optimizer = build(tiny_model, name)
    take_steps(tiny_model, optimizer, 0, 1)
    before = {key: tensor.clone() for key, tensor in tiny_model.state_dict().items()}
    build(tiny_model, name).load_state_tensors(optimizer.state_tensors())
    for key, tensor in tiny_model.state_dict().items():
        assert torch.equal(tensor, before[key])


@pytest.mark.parametrize("name", NAMES)
def test_a_factor_of_zero_moves_nothing_and_gradients_are_dropped(
    tiny_model: Decoder, name: str
) -> None:
    before = {key: tensor.clone() for key, tensor in tiny_model.state_dict().items()}
    optimizer = build(tiny_model, name)
    next_token(tiny_model, random_ids(1, 9)).loss_sum.backward()
    optimizer.step(0.0)
    for key, parameter in tiny_model.named_parameters():
        assert torch.equal(parameter, before[key])
        assert parameter.grad is None
    next_token(tiny_model, random_ids(1, 9)).loss_sum.backward()
    optimizer.step(1.0)
    assert all(not torch.equal(p, before[key]) for key, p in tiny_model.named_parameters())
    assert optimizer.peak_learning_rate == 0.02


@pytest.mark.parametrize("name", NAMES)
def test_norms_and_embeddings_are_not_decayed(name: str) -> None:
    plain, decayed = make_model(make_config()), make_model(make_config())
    for model, decay in ((plain, 0.0), (decayed, 5.0)):
        optimizer = build(model, name, weight_decay=decay)
        take_steps(model, optimizer, 0, 1)
    other = dict(decayed.named_parameters())
    for key, parameter in plain.named_parameters():
        is_spared = parameter.ndim < 2 or "embed" in key or (name == "muon" and "head" in key)
        assert torch.equal(parameter, other[key]) == is_spared, key


@pytest.mark.parametrize("name", NAMES)
def test_a_bad_step_changes_nothing_to_the_bit(tiny_model: Decoder, name: str) -> None:
    optimizer = build(tiny_model, name)
    take_steps(tiny_model, optimizer, 0, 2)
    before = snapshot(tiny_model, optimizer)
    next_token(tiny_model, random_ids(2, 9)).loss_sum.mul(float("nan")).backward()
    optimizer.step(1.0, torch.tensor(True))
    assert all(parameter.grad is None for parameter in tiny_model.parameters())
    after = snapshot(tiny_model, optimizer)
    assert all(torch.equal(before[key], after[key]) for key in before)

    next_token(tiny_model, random_ids(2, 9)).loss_sum.backward()
    optimizer.step(1.0, torch.tensor(False))
    after = snapshot(tiny_model, optimizer)
    assert all(not torch.equal(before[key], after[key]) for key in before)


def snapshot(model: Decoder, optimizer: Optimizer) -> dict[str, torch.Tensor]:
    state = {**model.state_dict(), **optimizer.state_tensors()}
    return {key: tensor.clone() for key, tensor in state.items()}


TORCH = {
    "adamw": lambda groups: torch.optim.AdamW(groups, betas=(0.9, 0.95), foreach=False),
    "adam": lambda groups: torch.optim.Adam(groups, betas=(0.9, 0.95), foreach=False),
    "rmsprop": lambda groups: torch.optim.RMSprop(groups, foreach=False),
    "sgd": lambda groups: torch.optim.SGD(groups, momentum=0.9, nesterov=True, foreach=False),
}


@pytest.mark.parametrize("name", TORCH)
def test_steps_are_those_of_torch_on_the_same_gradients(name: str) -> None:
    ours, theirs = make_model(make_config()), make_model(make_config())
    optimizer = build(ours, name, learning_rate=0.01, weight_decay=0.1)
    named = dict(theirs.named_parameters())
    decayed = [p for key, p in named.items() if p.ndim == 2 and "embed" not in key]
    plain = [p for key, p in named.items() if p.ndim < 2 or "embed" in key]
    torchs = TORCH[name](
        [{"params": decayed, "lr": 0.01, "weight_decay": 0.1}, {"params": plain, "lr": 0.01}]
    )
    for group in torchs.param_groups[1:]:
        group["weight_decay"] = 0.0
    for step in range(20):
        generator = torch.Generator().manual_seed(step)
        for key, parameter in ours.named_parameters():
            parameter.grad = torch.randn(parameter.shape, generator=generator) * 0.1
            named[key].grad = parameter.grad.clone()
        factor = 1.0 if step % 2 else 0.3
        for group in torchs.param_groups:
            group["lr"] = 0.01 * factor
        optimizer.step(factor, torch.tensor(False))
        torchs.step()
    for key, parameter in ours.named_parameters():
        torch.testing.assert_close(parameter, named[key], atol=1e-6, rtol=1e-5, msg=key)


def test_the_rate_of_adamw_falls_with_the_width() -> None:
    assert default_learning_rate("adamw", 1024) == default_learning_rate("adamw", 256) / 2
    assert default_learning_rate("muon", 1024) == default_learning_rate("muon", 256)


def test_a_state_of_other_fields_is_refused(tmp_path: Path) -> None:
    write_training_state(tmp_path, TrainState(), {})
    path = tmp_path / "training_state.json"
    path.write_text(path.read_text().replace('"tokens"', '"tokenz"'))
    with pytest.raises(IntegrityError, match="tokenz"):
        read_training_state(tmp_path)
