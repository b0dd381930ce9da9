import pytest
import torch

from tests.samples import VOCAB_SIZE, make_config, make_model, random_ids
from tissu_core.errors import ConfigError
from tissu_core.models.decoder import Decoder
from tissu_core.models.score import score_windows
from tissu_core.training.objectives.next_token import next_token


def test_logits_are_of_every_position(tiny_model: Decoder) -> None:
    assert tiny_model(random_ids(3, 7)).shape == (3, 7, VOCAB_SIZE)
    assert tiny_model(random_ids(3, 7), last_only=True).shape == (3, 1, VOCAB_SIZE)


def test_names_are_those_of_qwen3(tiny_model: Decoder) -> None:
    block = {
        "input_layernorm",
        "post_attention_layernorm",
        *(f"self_attn.{name}" for name in ("q_proj", "k_proj", "v_proj", "o_proj")),
        *("self_attn.q_norm", "self_attn.k_norm"),
        *(f"mlp.{name}_proj" for name in ("gate", "up", "down")),
    }
    expected = {"model.embed_tokens.weight", "model.norm.weight", "lm_head.weight"}
    expected |= {f"model.layers.{i}.{name}.weight" for i in range(2) for name in block}
    assert set(tiny_model.state_dict()) == expected


def test_the_order_of_tokens_matters(tiny_model: Decoder) -> None:
    ids = random_ids(1, 6)
    turned = ids.clone()
    turned[0, [0, 1]] = ids[0, [1, 0]]
    assert (tiny_model(ids)[:, -1] - tiny_model(turned)[:, -1]).abs().max() > 1e-3


def test_rows_of_a_batch_do_not_see_each_other(tiny_model: Decoder) -> None:
    ids = random_ids(3, 10)
    with torch.no_grad():
        torch.testing.assert_close(tiny_model(ids)[1:2], tiny_model(ids[1:2]), atol=1e-5, rtol=1e-4)


def test_tied_embeddings_are_one_matrix() -> None:
    model = make_model(make_config(tie_word_embeddings=True))
    assert model.lm_head.weight is model.model.embed_tokens.weight


@pytest.mark.parametrize("shares", [(0.3, 0.0), (0.0, 0.3)])
def test_dropout_is_for_training_and_can_be_set_later(shares: tuple[float, float]) -> None:
    model = make_model(make_config())
    ids = random_ids(1, 12)
    model.train()
    assert torch.equal(model(ids), model(ids))
    model.set_dropout(*shares)
    assert not torch.equal(model(ids), model(ids))
    model.eval()
    assert torch.equal(model(ids), model(ids))
    model.train()
    model.set_dropout(0.0)
    assert torch.equal(model(ids), model(ids))


def test_autocast_changes_little(tiny_model: Decoder) -> None:
    ids = random_ids(2, 20)
    with torch.no_grad():
        exact = tiny_model(ids)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            rough = tiny_model(ids)
    assert rough.dtype == torch.bfloat16
    assert (rough.float() - exact).abs().max() < 0.1 * exact.abs().max()


def test_a_model_that_was_scored_first_can_be_trained(tiny_model: Decoder) -> None:
    score_windows(tiny_model, random_ids(1, 9), torch.ones(VOCAB_SIZE, dtype=torch.long))
    tiny_model.train()
    next_token(tiny_model, random_ids(1, 9)).loss_sum.backward()
    assert tiny_model.lm_head.weight.grad is not None


@pytest.mark.parametrize("time", [1, 64])
def test_shortest_and_longest_texts_are_read(tiny_model: Decoder, time: int) -> None:
    assert tiny_model(random_ids(1, time)).isfinite().all()


def test_another_context_reads_on_as_the_longer_table_would() -> None:
    config = make_config(max_position_embeddings=16)
    model, ids = make_model(config), random_ids(1, 40)
    short = model(ids[:, :16])
    model.set_context(40)
    assert model.new_cache().layers
    torch.testing.assert_close(model(ids)[:, :16], short)
    learned = make_model(make_config(max_position_embeddings=16, position_embedding="learned"))
    learned.set_context(8)
    with pytest.raises(ConfigError, match="learned 16 positions"):
        learned.set_context(17)
