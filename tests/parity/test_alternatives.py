"""What a reply tells of its tokens = the same numbers computed by hand from a full forward pass."""

import pytest
import torch

from tests.samples import make_model
from tissu_core.config.decoding import DecodingConfig
from tissu_core.config.model import ModelConfig
from tissu_core.decoding.generate import generate
from tissu_core.events.replies import TokenGenerated
from tissu_core.text.tokenizer import Tokenizer

PROMPT = [0, 40, 41, 42, 43]
SETTINGS = {
    "greedy": DecodingConfig(max_tokens=6, greedy=True, top_logprobs=5),
    "shaped": DecodingConfig(
        max_tokens=6,
        seed=1,
        top_logprobs=7,
        temperature=2.0,
        top_k=3,
        presence_penalty=5.0,
        logit_bias=("50=+3",),
    ),
    "more than there are": DecodingConfig(max_tokens=2, seed=1, top_logprobs=100),
}


def written(
    model: torch.nn.Module, tokenizer: Tokenizer, config: DecodingConfig
) -> list[TokenGenerated]:
    events = generate(model, tokenizer, PROMPT, config, end_ids=frozenset())  # type: ignore[arg-type]
    return [event for event in events if isinstance(event, TokenGenerated)]


@pytest.mark.parametrize("name", SETTINGS)
def test_alternatives_are_the_models_own(
    name: str, tiny_config: ModelConfig, tiny_tokenizer: Tokenizer
) -> None:
    model, config = make_model(tiny_config), SETTINGS[name]
    tokens = written(model, tiny_tokenizer, config)
    assert len(tokens) == config.max_tokens
    read = list(PROMPT)
    for token in tokens:
        with torch.inference_mode():
            log_probs = model(torch.tensor([read]))[0, -1].double().log_softmax(-1)
        values, ids = log_probs.topk(config.top_logprobs)
        assert [one.token_id for one in token.alternatives] == ids.tolist()
        told = [one.logprob for one in token.alternatives]
        assert told == pytest.approx(values.tolist(), abs=1e-4)
        assert token.logprob == pytest.approx(float(log_probs[token.token_id]), abs=1e-4)
        entropy = float(-(log_probs.exp() * log_probs).sum())
        assert token.entropy == pytest.approx(entropy, abs=1e-4)
        for one in token.alternatives:
            piece = tiny_tokenizer.piece(one.token_id)
            shown = piece.decode("utf-8", "replace") or tiny_tokenizer.spelling(one.token_id)
            assert one.text == shown
        read.append(token.token_id)


def test_nothing_is_told_that_was_not_asked_for(
    tiny_config: ModelConfig, tiny_tokenizer: Tokenizer
) -> None:
    tokens = written(make_model(tiny_config), tiny_tokenizer, DecodingConfig(max_tokens=3, seed=1))
    assert [(token.entropy, token.alternatives) for token in tokens] == [(None, ())] * 3


def test_telling_changes_no_choice(tiny_config: ModelConfig, tiny_tokenizer: Tokenizer) -> None:
    model = make_model(tiny_config)
    plain, told = (
        written(model, tiny_tokenizer, DecodingConfig(max_tokens=8, seed=3, top_logprobs=n))
        for n in (0, 4)
    )
    assert [token.token_id for token in plain] == [token.token_id for token in told]
