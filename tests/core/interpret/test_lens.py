"""The lens: its last layer is the model, and a toy's answer is found where it is written."""

import math

import pytest
import torch

from tests.samples import CPU, make_config, make_model, random_ids
from tissu_core.compress.int4 import quantize_int4
from tissu_core.errors import InputError
from tissu_core.interpret.lens import log_shares, read_lens, see_streams
from tissu_core.models.build import build_model
from tissu_core.models.decoder import Decoder

SHAPES = {
    "plain": {},
    "tied": {"tie_word_embeddings": True},
    "capped": {"final_logit_softcapping": 2.0},
    "multiplied": {"embedding_multiplier": 5.6},
    "learned": {"position_embedding": "learned"},
    "sinusoidal": {"position_embedding": "sinusoidal"},
}
WROTE, TOKENS = 7, 16


def toy(layer: int) -> Decoder:
    """Six layers that add nothing, but that one writes the token 7 over whatever is there."""
    config = make_config(
        vocab_size=TOKENS, hidden_size=TOKENS, num_hidden_layers=6, feed_forward="gelu"
    )
    model = build_model(config, device=CPU, seed=0).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "norm" not in name:
                parameter.zero_()
        model.model.embed_tokens.weight.copy_(torch.eye(TOKENS))
        model.lm_head.weight.copy_(4 * torch.eye(TOKENS))
        mlp = model.model.layers[layer].mlp
        mlp.up_proj.weight[0] = 1  # every token has the same one channel, so this is a constant
        mlp.down_proj.weight[WROTE, 0] = 1
    return model


@pytest.mark.parametrize("layer", [0, 3, 5])
def test_an_answer_is_found_where_it_is_written(layer: int) -> None:
    layers, answers = read_lens(toy(layer), torch.tensor([[1, 2, 3]]), range(3), 2, str)
    for place, answer in enumerate(answers):
        assert answer.token == str(WROTE)
        assert (answer.first_layer, answer.stays_layer) == (str(layer), str(layer))
        tops = [row.reads[place].tokens[0] for row in layers]
        assert tops == [str(place + 1)] * (layer + 1) + [str(WROTE)] * (6 - layer)
        ranks = [row.reads[place].answer_rank for row in layers]
        assert ranks == [2] * (layer + 1) + [1] * (6 - layer)
        assert layers[-1].reads[place].kl == 0 < layers[0].reads[place].kl


def test_an_answer_that_leaves_and_comes_back_stays_from_where_it_came_back() -> None:
    model = toy(1)
    with torch.no_grad():
        for layer, factor in ((3, -1), (4, 10)):
            mlp = model.model.layers[layer].mlp
            mlp.up_proj.weight[0] = 1
            mlp.down_proj.weight[WROTE, 0] = factor
    _, (answer,) = read_lens(model, torch.tensor([[1, 2, 3]]), range(2, 3), 1, str)
    assert (answer.token, answer.first_layer, answer.stays_layer) == (str(WROTE), "1", "4")


@pytest.mark.parametrize("name", SHAPES)
def test_the_last_layer_is_the_model(name: str) -> None:
    model, ids = make_model(make_config(**SHAPES[name])), random_ids(1, 40)
    layers, answers = read_lens(model, ids, range(40), 3, str)
    with torch.no_grad():
        final = model(ids)[0].log_softmax(-1)
        streams = see_streams(model, ids, range(40))
        torch.testing.assert_close(log_shares(model, streams["1"]), final, atol=1e-5, rtol=1e-5)
    assert [row.name for row in layers] == ["embed", "0", "1"]
    for place, read in enumerate(layers[-1].reads):
        best = final[place].topk(3)
        assert read.tokens == tuple(map(str, best.indices.tolist()))
        assert read.probabilities == pytest.approx(best.values.exp().tolist(), abs=1e-6)
        assert (read.answer_rank, read.answer_probability) == (1, read.probabilities[0])
        assert read.kl == pytest.approx(0, abs=1e-6)
        assert answers[place].token == read.tokens[0]


def test_what_enters_the_first_layer_is_seen_as_the_layer_gets_it() -> None:
    """With its factor: the first norm hands on what it got."""
    model, ids = make_model(make_config(embedding_multiplier=5.6)), random_ids(1, 9)
    got = []
    hook = model.model.layers[0].register_forward_pre_hook(lambda _, given: got.append(given[0]))
    streams = see_streams(model, ids, range(2, 7))
    hook.remove()
    torch.testing.assert_close(streams["embed"], got[0][0, 2:7], atol=0, rtol=0)


def test_rank_probability_and_divergence_are_of_the_models_answer() -> None:
    model, ids = make_model(make_config()), random_ids(1, 12)
    layers, _ = read_lens(model, ids, range(5, 12), 1, str)
    with torch.no_grad():
        final = model(ids)[0].double().log_softmax(-1)
        stream = see_streams(model, ids, range(12))["0"]
        early = model.lm_head(model.model.norm(stream)).double().log_softmax(-1)
    for place, read in enumerate(layers[1].reads, 5):
        answer = int(final[place].argmax())
        order = early[place].argsort(descending=True).tolist()
        assert read.answer_rank == order.index(answer) + 1
        assert read.answer_probability == pytest.approx(early[place, answer].exp().item(), rel=1e-4)
        divergence = sum(
            math.exp(p) * (p - q)
            for p, q in zip(final[place].tolist(), early[place].tolist(), strict=True)
        )
        assert read.kl == pytest.approx(divergence / math.log(2), rel=1e-3)


def test_a_packed_model_is_read() -> None:
    model = make_model(make_config(hidden_size=64, head_dim=16, tie_word_embeddings=True))
    packed, ids = quantize_int4(model, 32), random_ids(1, 12)
    layers, _ = read_lens(packed, ids, range(12), 1, str)
    with torch.no_grad():
        expected = packed(ids)[0].argmax(-1)
    assert [read.tokens[0] for read in layers[-1].reads] == [str(id) for id in expected.tolist()]


def test_many_positions_are_read_as_few_are(monkeypatch: pytest.MonkeyPatch) -> None:
    model, ids = make_model(make_config()), random_ids(1, 30)
    _, whole = read_lens(model, ids, range(30), 1, str)
    monkeypatch.setattr("tissu_core.interpret.lens._AT_ONCE", 4)
    _, parts = read_lens(model, ids, range(30), 1, str)
    assert [answer.token for answer in parts] == [answer.token for answer in whole]
    assert len(parts) == 30


def test_a_weight_that_is_no_number_is_named() -> None:
    model = make_model(make_config())
    with torch.no_grad():
        model.model.layers[1].mlp.up_proj.weight[0, 0] = torch.inf
    with pytest.raises(InputError, match=r"layers.1.mlp.up_proj.weight holds an infinity"):
        read_lens(model, random_ids(1, 9), range(9), 1, str)
