from contextlib import suppress
from dataclasses import replace

import pytest
import torch
from torch.optim.swa_utils import AveragedModel

from tests.core.training.loop import make_parts, make_settings
from tests.samples import make_config, make_model, random_ids
from tissu_core.checkpoint.training_state import TrainState
from tissu_core.models.decoder import Decoder
from tissu_core.training.ema import WeightAverage
from tissu_core.training.optim import build_optimizer
from tissu_core.training.trainer import Trainer

GOOD, BAD = torch.tensor(False), torch.tensor(True)


def moved(model: Decoder, seed: int) -> None:
    """Other weights, as a step would leave them."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in model.parameters():
            weight += 0.1 * torch.randn(weight.shape, generator=generator)


def means(average: WeightAverage, model: Decoder) -> dict[str, torch.Tensor]:
    with average.applied():
        return {name: tensor.clone() for name, tensor in model.state_dict().items()}


@pytest.mark.parametrize("is_tied", [False, True])
def test_it_is_the_mean_that_torch_keeps(*, is_tied: bool) -> None:
    model = make_model(make_config(tie_word_embeddings=is_tied))
    average = WeightAverage(model.named_parameters(), 0.6)

    def blend(means: list[torch.Tensor], weights: list[torch.Tensor], count: torch.Tensor) -> None:
        torch._foreach_lerp_(means, weights, 1 - average.decay_at(int(count) - 1))

    torchs = AveragedModel(model, multi_avg_fn=blend)
    torchs.update_parameters(model)  # the first is a copy
    for step in range(20):
        moved(model, step)
        average.update(step, GOOD)
        torchs.update_parameters(model)
    for name, found in means(average, model).items():
        torch.testing.assert_close(found, torchs.module.state_dict()[name], atol=1e-6, rtol=1e-5)


def test_the_decay_begins_small_and_ends_as_asked_for() -> None:
    average = WeightAverage([], 0.99)
    assert [average.decay_at(step) for step in (0, 8, 10_000)] == [0.1, 0.5, 0.99]


def test_a_step_that_is_left_out_does_not_move_it() -> None:
    model = make_model(make_config())
    average = WeightAverage(model.named_parameters(), 0.9)
    moved(model, 0)
    average.update(0, GOOD)
    before = means(average, model)
    average.update(1, BAD)
    assert all(torch.equal(before[name], mean) for name, mean in means(average, model).items())


def test_the_model_has_it_for_a_while_and_then_its_own_weights_to_the_bit() -> None:
    model = make_model(make_config())
    first = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    places = [weight.data_ptr() for weight in model.parameters()]
    average = WeightAverage(model.named_parameters(), 0.9)
    moved(model, 0)
    own = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with suppress(KeyError), average.applied():
        assert all(torch.equal(first[name], w) for name, w in model.state_dict().items())
        raise KeyError
    assert all(torch.equal(own[name], w) for name, w in model.state_dict().items())
    assert places == [weight.data_ptr() for weight in model.parameters()]


def test_the_loop_feeds_it_and_is_not_changed_by_it() -> None:
    def train(decay: float) -> tuple[Decoder, WeightAverage]:
        model = make_model(make_config()).train()
        average = WeightAverage(model.named_parameters(), decay)
        optimizer = build_optimizer(
            model, name="adamw", learning_rate=1e-2, weight_decay=0.1, width=32
        )
        parts = make_parts(lambda number: random_ids(4, 9, seed=number))
        parts = replace(parts, after_step=average.update)
        list(Trainer(model, optimizer, make_settings(), parts, TrainState()).run(lambda: False))
        return model, average

    model, average = train(0.9)
    _, forgetful = train(0.0)
    other = make_model(make_config())
    for name, weight in model.state_dict().items():
        assert not torch.equal(means(average, model)[name], weight)
        assert not torch.equal(means(average, model)[name], other.state_dict()[name])
        torch.testing.assert_close(means(forgetful, model)[name], weight)
