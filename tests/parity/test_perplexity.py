"""The loss that tissu measures is transformers' own, token-weighted over uneven documents."""

import copy
import math
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM, PreTrainedModel

from tests.samples import MIXED_TEXTS, STORY, make_config, make_model, score_texts
from tissu_core.checkpoint.model_directory import load_model, write_model_files
from tissu_core.models.decoder import Decoder
from tissu_core.models.score import Score
from tissu_core.text.tokenizer import Tokenizer

CONTEXT = 64
TEXTS = [*STORY.split("\n\n"), STORY, *(text for text in MIXED_TEXTS if text)]


@pytest.fixture(scope="module", params=["written by tissu", "written by transformers"])
def pair(
    request: pytest.FixtureRequest,
    tiny_tokenizer: Tokenizer,
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Decoder, PreTrainedModel]:
    """A model as tissu reads it, and as transformers does."""
    path: Path = tmp_path_factory.mktemp("model")
    write_model_files(path, make_model(make_config()), tiny_tokenizer)
    if request.param == "written by transformers":
        (path / "tissu.json").unlink(missing_ok=True)
        shape = LlamaConfig(
            vocab_size=320,
            hidden_size=48,
            intermediate_size=96,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
            max_position_embeddings=CONTEXT,
            initializer_range=0.2,
            bos_token_id=0,
            eos_token_id=0,
        )
        LlamaForCausalLM(shape).save_pretrained(path)
    return load_model(path, torch.device("cpu")).model, AutoModelForCausalLM.from_pretrained(path)


def their_loss(theirs: PreTrainedModel, ids: list[int], stride: int) -> tuple[float, int]:
    """The sum over a text and how many tokens, by the loss that transformers computes."""
    total, done = 0.0, 0
    for begin in range(0, len(ids) - 1, stride):
        end = min(begin + CONTEXT, len(ids) - 1)
        window = torch.tensor([ids[begin : end + 1]])
        labels = window.clone()
        labels[:, : 1 + done - begin] = -100
        num_targets = end - done
        if num_targets:
            # Its window is one longer than ours reads: the last id is a target alone.
            logits = theirs(window[:, :-1]).logits
            loss = theirs.loss_function(
                logits, labels=None, shift_labels=labels[:, 1:], vocab_size=320
            )
            total += float(loss) * num_targets
        done = end
    return total, done


@pytest.mark.parametrize("stride", [CONTEXT, 20])
@torch.no_grad()
def test_the_loss_is_that_of_transformers(
    pair: tuple[Decoder, PreTrainedModel], tiny_tokenizer: Tokenizer, stride: int
) -> None:
    ours, theirs = pair
    score, total, count = Score(), 0.0, 0
    for text, scored in zip(TEXTS, score_texts(ours, tiny_tokenizer, TEXTS, stride), strict=True):
        nll, num_tokens = their_loss(theirs, [0, *tiny_tokenizer.encode(text)], stride)
        assert scored.score.num_tokens == num_tokens
        assert scored.score.loss == pytest.approx(nll / num_tokens, abs=1e-3)
        score, total, count = score + scored.score, total + nll, count + num_tokens
    assert score.loss == pytest.approx(total / count, abs=1e-4)
    assert score.perplexity == pytest.approx(math.exp(total / count), rel=1e-3)
    assert score.num_bytes == sum(len(text.encode()) for text in TEXTS)


@torch.no_grad()
def test_a_short_text_has_the_loss_that_transformers_gives_by_itself(
    pair: tuple[Decoder, PreTrainedModel], tiny_tokenizer: Tokenizer
) -> None:
    ours, theirs = pair
    ids = torch.tensor([[0, *tiny_tokenizer.encode(TEXTS[0])[:40]]])
    text = tiny_tokenizer.decode(ids[0, 1:].tolist())
    (scored,) = score_texts(ours, tiny_tokenizer, [text], CONTEXT)
    assert scored.score.loss == pytest.approx(float(theirs(ids, labels=ids).loss), abs=1e-4)


def test_uneven_documents_together_score_as_one_by_one(
    pair: tuple[Decoder, PreTrainedModel], tiny_tokenizer: Tokenizer
) -> None:
    ours = copy.deepcopy(pair[0])
    together = score_texts(ours, tiny_tokenizer, TEXTS, 20)
    for text, scored in zip(TEXTS, together, strict=True):
        (alone,) = score_texts(ours, tiny_tokenizer, [text], 20)
        assert scored.score.num_tokens == alone.score.num_tokens
        assert scored.nll == pytest.approx(alone.nll, abs=1e-4)
