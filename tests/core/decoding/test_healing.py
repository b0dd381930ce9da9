import pytest

from tests.samples import STORY, make_model
from tissu_core.config.decoding import DecodingConfig
from tissu_core.config.model import ModelConfig
from tissu_core.decoding.generate import generate
from tissu_core.decoding.healing import heal
from tissu_core.events.replies import GenerationFinished, TokenGenerated
from tissu_core.text.tokenizer import Tokenizer


def test_a_lone_space_is_taken_back_for_words_that_begin_with_it(
    tiny_tokenizer: Tokenizer,
) -> None:
    ids = [tiny_tokenizer.end_id, *tiny_tokenizer.encode("She counted ")]
    healed = heal(tiny_tokenizer, ids)
    assert healed.prompt_ids == ids[:-1]
    assert healed.prefix == " "
    assert len(healed.allowed) > 5
    assert all(tiny_tokenizer.decode([id]).startswith(" ") for id in healed.allowed)
    assert tiny_tokenizer.encode(" ")[0] in healed.allowed


def test_what_cannot_be_taken_back_stays(tiny_tokenizer: Tokenizer) -> None:
    end = tiny_tokenizer.end_id
    for ids in ([end], [5, end], [end, *tiny_tokenizer.encode("\u7cf8")]):
        assert heal(tiny_tokenizer, ids).prompt_ids == ids
        assert heal(tiny_tokenizer, ids).allowed == []


@pytest.mark.parametrize("prompt", ["She counted ", "the clo", STORY[:40], "Stra\u00dfe, "])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_reply_continues_the_prompt_without_repeating_it(
    tiny_config: ModelConfig, tiny_tokenizer: Tokenizer, prompt: str, seed: int
) -> None:
    model = make_model(tiny_config)
    ids = [tiny_tokenizer.end_id, *tiny_tokenizer.encode(prompt)]
    config = DecodingConfig(max_tokens=6, seed=seed, top_k=0)
    events = list(generate(model, tiny_tokenizer, ids, config, end_ids=frozenset(), is_healed=True))
    chosen = [event.token_id for event in events if isinstance(event, TokenGenerated)]
    end = events[-1]
    assert isinstance(end, GenerationFinished)
    assert end.prompt_tokens == len(ids)
    whole = tiny_tokenizer.decode([*heal(tiny_tokenizer, ids).prompt_ids, *chosen])
    assert prompt + end.text == whole
