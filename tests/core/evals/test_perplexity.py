import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional

from tests.samples import STORY, VOCAB_SIZE, make_model, score_texts
from tissu_core.checkpoint.model_directory import LoadedModel
from tissu_core.config.model import ModelConfig
from tissu_core.config.rope import RopeScaling
from tissu_core.errors import InputError
from tissu_core.evals import perplexity
from tissu_core.evals.perplexity import TextScorer, iter_windows
from tissu_core.models.decoder import Decoder
from tissu_core.models.score import Score
from tissu_core.text.tokenizer import Tokenizer


def contexts_of(length: int, context: int, stride: int) -> dict[int, int]:
    """How many ids are read before each scored one; the ids are their own positions."""
    found: dict[int, int] = {}
    for begin, scored, end in iter_windows(length, context, stride):
        assert 1 <= end - begin <= context
        assert begin <= scored < end, "a window without a new score is wasted"
        for id in range(scored + 1, end + 1):
            assert id not in found, f"{id} is scored twice"
            found[id] = id - begin
    return found


def score(model: Decoder, tokenizer: Tokenizer, text: str, stride: int) -> Score:
    (scored,) = score_texts(model, tokenizer, [text], stride)
    return scored.score


@given(length=st.integers(0, 90), context=st.integers(1, 30), data=st.data())
def test_every_id_but_the_first_is_scored_exactly_once(
    length: int, context: int, data: st.DataObject
) -> None:
    stride = data.draw(st.integers(1, context))
    found = contexts_of(length, context, stride)
    assert sorted(found) == list(range(1, length))
    assert all(read >= min(id, context - stride + 1) for id, read in found.items())


@given(length=st.integers(0, 90), stride=st.integers(1, 8), times=st.integers(1, 5))
def test_a_smaller_stride_gives_each_token_at_least_as_much_to_read(
    length: int, stride: int, times: int
) -> None:
    context = stride * times
    near, far = contexts_of(length, context, stride), contexts_of(length, context, context)
    assert all(near[id] >= far[id] for id in far)


def test_windows_side_by_side_equal_a_computation_by_hand(
    tiny_model: Decoder, tiny_tokenizer: Tokenizer
) -> None:
    context = tiny_model.config.max_position_embeddings
    ids = torch.tensor([tiny_tokenizer.end_id, *tiny_tokenizer.encode(STORY)])
    assert len(ids) > 3 * context and (len(ids) - 1) % context, "several windows, the last shorter"
    nll = 0.0
    with torch.no_grad():
        for begin in range(0, len(ids) - 1, context):
            part = ids[begin : begin + context + 1]
            logits = tiny_model(part[None, :-1])[0]
            nll += functional.cross_entropy(logits, part[1:], reduction="sum").item()
    found = score(tiny_model, tiny_tokenizer, STORY, context)
    assert found.num_tokens == len(ids) - 1
    assert found.num_bytes == len(STORY.encode())
    assert found.nll == pytest.approx(nll, rel=1e-5)
    assert found.perplexity == pytest.approx(math.exp(nll / (len(ids) - 1)), rel=1e-4)


def test_overlapping_windows_score_each_token_after_what_its_window_read(
    tiny_model: Decoder, tiny_tokenizer: Tokenizer
) -> None:
    context, stride = tiny_model.config.max_position_embeddings, 24
    ids = torch.tensor([tiny_tokenizer.end_id, *tiny_tokenizer.encode(STORY)])
    nll = 0.0
    with torch.no_grad():
        for id, read in contexts_of(len(ids), context, stride).items():
            logits = tiny_model(ids[None, id - read : id])[0, -1]
            nll += functional.cross_entropy(logits, ids[id]).item()
    found = score(tiny_model, tiny_tokenizer, STORY, stride)
    assert (found.num_tokens, found.num_bytes) == (len(ids) - 1, len(STORY.encode()))
    assert found.nll == pytest.approx(nll, rel=1e-5)


def test_a_document_that_fits_is_scored_alike_with_any_stride(
    tiny_config: ModelConfig, tiny_tokenizer: Tokenizer
) -> None:
    model = make_model(replace(tiny_config, max_position_embeddings=1024))
    whole, *rest = (score(model, tiny_tokenizer, STORY, stride) for stride in (1024, 7))
    assert rest == [whole]


@pytest.mark.parametrize("stride", [64, 10])
def test_a_model_that_knows_nothing_has_the_perplexity_of_its_vocabulary(
    tiny_model: Decoder, tiny_tokenizer: Tokenizer, stride: int
) -> None:
    with torch.no_grad():
        tiny_model.lm_head.weight.zero_()
    found = score(tiny_model, tiny_tokenizer, STORY, stride)
    assert found.perplexity == pytest.approx(VOCAB_SIZE, rel=1e-5)


def test_a_document_without_text_scores_nothing(
    tiny_model: Decoder, tiny_tokenizer: Tokenizer
) -> None:
    assert score(tiny_model, tiny_tokenizer, "", 8) == Score()


def test_documents_come_back_in_their_order_with_their_files(
    tiny_model: Decoder, tiny_tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the pool is too small for all, so that it is emptied in between."""
    monkeypatch.setattr(perplexity, "_POOL_TOKENS", 30)
    texts = ["The loom", "", STORY, "a", "one leg at a time", "a"]
    loaded = LoadedModel(tiny_model, tiny_tokenizer, Path("tiny"), frozenset())
    scorer = TextScorer(loaded, 64)
    files = [0, 0, 0, 2, 2, 3]
    found = [*scorer.iter_scored(zip(texts, files, strict=True))]
    documents = [each for each in found if not isinstance(each, int)]
    assert [(each.text, each.file) for each in documents] == list(zip(texts, files, strict=True))
    assert [each.number for each in documents] == [1, 2, 3, 1, 2, 1]
    assert sum(each for each in found if isinstance(each, int)) == len("".join(texts).encode())
    assert documents[3].score == documents[5].score
    assert scorer.num_read >= sum(each.score.num_tokens for each in documents)


def test_rows_are_filled_up_only_where_that_changes_nothing(
    tiny_config: ModelConfig, tiny_tokenizer: Tokenizer
) -> None:
    """Phi-3's longer texts are rotated otherwise from their first token on."""
    factors = {"short_factor": (1.0,) * 4, "long_factor": (8.0, 4.0, 2.0, 1.0)}
    scaling = RopeScaling(
        rope_type="longrope", factor=4.0, original_max_position_embeddings=16, **factors
    )
    model = make_model(replace(tiny_config, rope_scaling=scaling))
    assert model.rotates_by_length
    short = "The weaver"
    together = score_texts(model, tiny_tokenizer, [STORY, short], 64)
    (alone,) = score_texts(model, tiny_tokenizer, [short], 64)
    assert together[1].score.nll == pytest.approx(alone.score.nll, rel=1e-5)


def test_a_model_that_predicts_no_numbers_is_named_with_its_weight(
    tiny_model: Decoder, tiny_tokenizer: Tokenizer
) -> None:
    with torch.no_grad():
        tiny_model.model.layers[1].mlp.up_proj.weight[3, 3] = torch.nan
    with pytest.raises(InputError, match=r"tiny predicts nothing.*layers\.1.*up_proj.*NaN"):
        score_texts(tiny_model, tiny_tokenizer, ["", STORY], 64)
