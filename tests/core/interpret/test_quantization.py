import math

import pytest
import torch

from tests.samples import make_config, make_model
from tissu_core.events.measures import LayerRounded
from tissu_core.interpret.quantization import WHOLE, iter_rounded
from tissu_core.models.decoder import Decoder
from tissu_core.models.score import score_windows

GROUP = 8
BITS = (8, 6, 4, 3)


@pytest.fixture
def planted() -> Decoder:
    """A model whose first block has only eight levels in each group, from -1 to 0.75."""
    model = make_model(make_config())
    generator = torch.Generator().manual_seed(1)
    for layer in model.model.layers[0].modules():  # type: ignore[union-attr]
        if isinstance(layer, torch.nn.Linear):
            levels = torch.randint(0, 8, layer.weight.shape, generator=generator)
            levels[:, ::GROUP], levels[:, 1::GROUP] = 0, 7
            layer.weight.data = levels / 4.0 - 1.0
    return model


def rounded(model: Decoder, windows: list[torch.Tensor]) -> dict[tuple[str, int], LayerRounded]:
    token_bytes = torch.ones(model.config.vocab_size)
    found = iter_rounded(model, windows, token_bytes, BITS, GROUP)
    return {(each.layer, each.bits): each for each in found}


@pytest.mark.parametrize("is_tied", [True, False])
def test_the_model_is_afterwards_what_it_was(is_tied: bool) -> None:
    model = make_model(make_config(tie_word_embeddings=is_tied))
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    ids = torch.randint(0, model.config.vocab_size, (1, 48))
    found = rounded(model, [ids])
    after = model.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert (model.lm_head.weight is model.model.embed_tokens.weight) == is_tied
    plain = score_windows(model, ids, torch.ones(model.config.vocab_size)).bits_per_byte
    assert found[WHOLE, 8].bits_per_byte == pytest.approx(plain, rel=0.02)
    assert found[WHOLE, 3].bits_per_byte != pytest.approx(plain, rel=1e-4)


def test_a_planted_block_is_told_from_the_others(planted: Decoder) -> None:
    ids = torch.randint(0, planted.config.vocab_size, (1, 48))
    found = rounded(planted, [ids])
    plain = score_windows(planted, ids, torch.ones(planted.config.vocab_size)).bits_per_byte
    assert found["layers.0", 3].sqnr_db == math.inf
    assert found["layers.0", 3].bits_per_byte == plain
    usual = [found["layers.1", bits].sqnr_db for bits in BITS]
    # A bit halves the step, which is 6.02 dB.
    assert usual[0] - usual[1] == pytest.approx(12.04, abs=1.5)
    assert usual[1] - usual[2] == pytest.approx(12.04, abs=1.5)


def test_without_text_only_the_weights_are_compared(planted: Decoder) -> None:
    found = rounded(planted, [])
    assert len(found) == len(BITS) * 4  # embedding, two blocks, all
    assert all(each.bits_per_byte is None for each in found.values())
