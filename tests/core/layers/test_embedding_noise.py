import pytest
import torch

from tests.samples import make_config, make_model, random_ids
from tissu_core.layers.embedding_noise import add_noise
from tissu_core.models.decoder import Decoder

EMBEDDINGS = torch.zeros(8, 64, 128)


def test_gaussian_noise_has_the_deviation_that_was_asked_for() -> None:
    noise = add_noise(EMBEDDINGS, 0.03, 0.0)
    assert noise.std().item() == pytest.approx(0.03, rel=0.02)
    assert noise.mean().item() == pytest.approx(0.0, abs=1e-3)


def test_neftune_is_uniform_within_alpha_over_the_root_of_tokens_times_width() -> None:
    bound = 5 / (64 * 128) ** 0.5
    noise = add_noise(EMBEDDINGS, 0.0, 5.0)
    assert 0.99 * bound < noise.abs().max().item() <= bound
    assert noise.std().item() == pytest.approx(bound / 3**0.5, rel=0.02)


def test_no_noise_is_nothing_at_all() -> None:
    before = torch.get_rng_state()
    assert add_noise(EMBEDDINGS, 0.0, 0.0) is EMBEDDINGS
    assert torch.equal(torch.get_rng_state(), before)


def read(model: Decoder, seed: int) -> torch.Tensor:
    torch.manual_seed(seed)
    hidden: torch.Tensor = model.model(random_ids(2, 9))
    return hidden


@pytest.mark.parametrize("noise", [(0.5, 0.0), (0.0, 5.0), (0.5, 5.0)])
def test_it_is_there_in_training_alone_and_follows_the_seed(noise: tuple[float, float]) -> None:
    model = make_model(make_config())
    plain = read(model, 1)
    model.set_noise(*noise)
    assert torch.equal(read(model, 1), plain)
    model.train()
    assert torch.equal(read(model, 1), read(model, 1))
    assert not torch.equal(read(model, 1), read(model, 2))
    assert not torch.equal(read(model, 1), plain)
    model.set_noise(0.0, 0.0)
    assert torch.equal(read(model, 1), plain)
