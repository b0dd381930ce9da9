"""Scores of heads: of rows written out, and of an induction head whose weights are set by hand."""

import math

import pytest
import torch
from torch import Tensor

from tests.samples import CPU, make_config, make_model, random_ids
from tissu_core.errors import InputError
from tissu_core.events.views import HeadScored, HeadShown
from tissu_core.interpret.attention import following, score_head, see_heads
from tissu_core.models.build import build_model
from tissu_core.models.decoder import Decoder

TOKENS, PLACES = 8, 16
SURE = 60.0
"""A score that leaves nothing to the others."""


def induction_model() -> Decoder:
    """Token and place stand in channels of their own; head 0.0 writes the token before into
    others, head 1.0 looks there for its own token. The other two heads see no difference.
    """
    width = 2 * TOKENS + PLACES
    config = make_config(
        vocab_size=TOKENS,
        hidden_size=width,
        intermediate_size=8,
        num_attention_heads=2,
        num_key_value_heads=2,
        head_dim=PLACES,
        max_position_embeddings=PLACES,
        position_embedding="learned",
        qk_norm=False,
    )
    model = build_model(config, device=CPU, seed=0).eval()
    token, place = torch.arange(TOKENS), torch.arange(PLACES)
    before = TOKENS + PLACES  # where the channels of the token before begin
    state = {name: torch.zeros_like(tensor) for name, tensor in model.state_dict().items()}
    for name, tensor in state.items():
        if "norm" in name:
            tensor += 1
    state["model.embed_tokens.weight"][token, token] = 1
    state["model.embed_positions.weight"][place, TOKENS + place] = 1
    first, second = "model.layers.0.self_attn.", "model.layers.1.self_attn."
    state[f"{first}q_proj.weight"][place[:-1], TOKENS + place[1:]] = SURE
    state[f"{first}k_proj.weight"][place, TOKENS + place] = 1
    state[f"{first}v_proj.weight"][token, token] = 1
    state[f"{first}o_proj.weight"][before + token, token] = 1
    state[f"{second}q_proj.weight"][token, token] = SURE
    state[f"{second}k_proj.weight"][token, before + token] = 1
    model.load_state_dict(state)
    return model


def seen(model: Decoder, ids: Tensor, span: range | None = None) -> dict[tuple[int, int], tuple]:
    layers, heads = model.config.num_hidden_layers, model.config.num_attention_heads
    every = [(layer, head) for layer in range(layers) for head in range(heads)]
    scored, shown = see_heads(model, ids, every, every, span or range(ids.shape[1]))
    return {key: (score, part) for key, score, part in zip(every, scored, shown, strict=True)}


def test_an_induction_head_reads_what_followed_its_token() -> None:
    found = seen(induction_model(), torch.tensor([[0, 5, 3, 6, 1, 5, 3, 6, 2]]))
    score, shown = found[1, 0]
    assert isinstance(score, HeadScored) and isinstance(shown, HeadShown)
    # The second 5, 3 and 6 read the 3, 6 and 1 behind the first ones.
    assert [shown.most[row][0] for row in (5, 6, 7)] == [
        (column, pytest.approx(1.0, abs=1e-4)) for column in (2, 3, 4)
    ]
    assert score.induction == pytest.approx(1.0, abs=1e-4)
    assert score.kind == "induction"
    assert score.previous < 0.3


def test_a_previous_token_head_reads_the_token_before() -> None:
    found = seen(induction_model(), torch.tensor([[0, 5, 3, 6, 1, 5, 3, 6, 2]]))
    score, shown = found[0, 0]
    assert score.kind == "previous"
    assert score.previous == pytest.approx(1.0, abs=1e-4)
    assert score.entropy == pytest.approx(0.0, abs=1e-3)
    assert score.induction == pytest.approx(0.0, abs=1e-4)
    for row, shares in enumerate(shown.shares[1:]):
        assert shares[row] == pytest.approx(1.0, abs=1e-4)


def test_a_head_that_sees_no_difference_is_broad() -> None:
    ids = torch.tensor([[0, 5, 3, 6, 1, 5, 3, 6, 2]])
    score, shown = seen(induction_model(), ids)[0, 1]
    lengths = range(2, 10)
    assert score.kind == "broad"
    assert score.entropy == pytest.approx(sum(math.log2(n) for n in lengths) / 8, abs=1e-4)
    assert score.first == pytest.approx(sum(1 / n for n in lengths) / 8, abs=1e-5)
    assert score.local == pytest.approx(4 / 9, abs=1e-5)  # of the one token with enough before it
    assert shown.shares[3] == (0.25,) * 4


def test_what_followed_is_never_the_token_itself() -> None:
    ids = torch.tensor([4, 4, 7, 4, 7])
    expected = {(2, 1): False, (3, 1): True, (3, 2): True, (4, 3): True}
    found = following(ids)
    assert {tuple(pair) for pair in found.nonzero().tolist()} == {
        k for k, v in expected.items() if v
    }


def rows(time: int, read: int | None) -> Tensor:
    """Each row reads the token ``read`` before it, or the first."""
    shares = torch.zeros(time, time)
    for row in range(time):
        shares[row, 0 if read is None else max(0, row - read)] = 1
    return shares


@pytest.mark.parametrize(
    ("read", "kind"), [(None, "first"), (1, "previous"), (0, "local"), (2, "local"), (7, "broad")]
)
def test_heads_are_named_by_what_they_read(read: int | None, kind: str) -> None:
    ids = torch.arange(40)
    score = score_head(rows(40, read), following(ids), 3, 2)
    assert (score.kind, score.layer, score.head, score.induction) == (kind, 3, 2, None)
    assert score.entropy == 0


def test_one_token_is_scored() -> None:
    score = score_head(torch.ones(1, 1), following(torch.tensor([5])), 0, 0)
    assert (score.previous, score.first, score.induction, score.local) == (0, 1, None, None)


def test_a_part_of_a_prompt_has_what_is_earlier_beside_it() -> None:
    model, ids = make_model(make_config()), random_ids(1, 20)
    whole, part = seen(model, ids), seen(model, ids, range(6, 15))
    for key, (score, shown) in part.items():
        assert score == whole[key][0]
        all_rows = whole[key][1].shares
        assert len(shown.shares) == 9
        for row, (shares, earlier) in enumerate(zip(shown.shares, shown.earlier, strict=True)):
            assert shares == all_rows[6 + row][6:]
            assert earlier == pytest.approx(sum(all_rows[6 + row][:6]), abs=2e-5)
            assert sum(shares) + earlier == pytest.approx(1, abs=2e-5)
        assert shown.most == whole[key][1].most[6:15]


def test_only_what_is_asked_for_is_given() -> None:
    scored, shown = see_heads(make_model(make_config()), random_ids(1, 9), [(1, 3)], [], range(9))
    assert [(score.layer, score.head) for score in scored] == [(1, 3)]
    assert shown == []


@pytest.mark.parametrize(
    "name",
    ["layers.1.self_attn.q_proj", "layers.0.mlp.down_proj", "layers.0.self_attn.q_proj"],
)
def test_a_weight_that_is_no_number_is_named(name: str) -> None:
    model = make_model(make_config())
    with torch.no_grad():
        model.get_parameter(f"model.{name}.weight")[0, 0] = torch.nan
    with pytest.raises(InputError, match=rf"{name}.weight holds NaN"):
        see_heads(model, random_ids(1, 9), [(1, 0)], [], range(9))
