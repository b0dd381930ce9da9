from collections.abc import Callable, Sequence

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.samples import VOCAB_SIZE, iter_choices, make_config, make_model
from tissu_core.config.decoding import DecodingConfig
from tissu_core.decoding import row as row_module
from tissu_core.decoding.generate import generate
from tissu_core.errors import InputError
from tissu_core.events.replies import GenerationFinished, TokenGenerated
from tissu_core.models.decoder import Decoder
from tissu_core.text.tokenizer import Tokenizer

PROMPT = [0, 100, 101]


def run(
    model: Decoder,
    tokenizer: Tokenizer,
    config: DecodingConfig,
    *,
    prompt: Sequence[int] = PROMPT,
    end_ids: frozenset[int] = frozenset(),
    should_stop: Callable[[], bool] = lambda: False,
) -> tuple[list[TokenGenerated], GenerationFinished]:
    *tokens, end = generate(
        model, tokenizer, prompt, config, end_ids=end_ids, should_stop=should_stop
    )
    assert isinstance(end, GenerationFinished)
    assert all(isinstance(token, TokenGenerated) for token in tokens)
    assert "".join(token.text for token in tokens) + end.tail == end.text
    assert end.new_tokens == len(tokens)
    return tokens, end


@pytest.fixture
def speak(monkeypatch: pytest.MonkeyPatch) -> Callable[[Sequence[int]], None]:
    """Let the model choose these ids, whatever it thinks."""

    def script(ids: Sequence[int]) -> None:
        said = iter(ids)
        monkeypatch.setattr(row_module, "draw", lambda logits, generator: next(said))

    return script


@pytest.mark.parametrize("max_tokens", [1, 12])
def test_it_ends_at_its_length(
    tiny_model: Decoder, tiny_tokenizer: Tokenizer, max_tokens: int
) -> None:
    tokens, end = run(tiny_model, tiny_tokenizer, DecodingConfig(max_tokens=max_tokens, seed=1))
    assert (len(tokens), end.reason, end.prompt_tokens) == (max_tokens, "length", 3)


def test_it_ends_at_the_context(tiny_model: Decoder, tiny_tokenizer: Tokenizer) -> None:
    tokens, end = run(tiny_model, tiny_tokenizer, DecodingConfig(max_tokens=500, seed=1))
    assert (len(tokens), end.reason) == (61, "context")
    tokens, end = run(tiny_model, tiny_tokenizer, DecodingConfig(max_tokens=61, seed=1))
    assert (len(tokens), end.reason) == (61, "length")


def test_a_prompt_that_fills_the_context_is_refused(
    tiny_model: Decoder, tiny_tokenizer: Tokenizer
) -> None:
    _, end = run(tiny_model, tiny_tokenizer, DecodingConfig(), prompt=[20] * 63)
    assert (end.new_tokens, end.reason) == (1, "context")
    for length in (64, 200):
        with pytest.raises(InputError, match=f"{length} tokens.*context is 64"):
            run(tiny_model, tiny_tokenizer, DecodingConfig(), prompt=[20] * length)


def test_it_ends_at_an_end_token_which_is_not_shown(
    tiny_model: Decoder, tiny_tokenizer: Tokenizer
) -> None:
    config = DecodingConfig(greedy=True, max_tokens=20)
    tokens, _ = run(tiny_model, tiny_tokenizer, config)
    end_id = tokens[7].token_id
    first = next(i for i, token in enumerate(tokens) if token.token_id == end_id)
    cut, end = run(tiny_model, tiny_tokenizer, config, end_ids=frozenset({3, end_id}))
    assert [token.token_id for token in cut] == [token.token_id for token in tokens[:first]]
    assert end.reason == "stop"


def test_an_end_token_at_once_is_an_empty_reply(
    tiny_model: Decoder, tiny_tokenizer: Tokenizer, speak: Callable[[Sequence[int]], None]
) -> None:
    speak([0])
    tokens, end = run(tiny_model, tiny_tokenizer, DecodingConfig(), end_ids=frozenset({0}))
    assert (tokens, end.text, end.reason, end.tokens_per_second) == ([], "", "stop", 0.0)


def test_it_ends_before_a_stop_string(
    tiny_model: Decoder, tiny_tokenizer: Tokenizer, speak: Callable[[Sequence[int]], None]
) -> None:
    speak(tiny_tokenizer.encode("one two. three. four"))
    config = DecodingConfig(stop=("three", "."))
    tokens, end = run(tiny_model, tiny_tokenizer, config)
    assert (end.text, end.tail, end.reason) == ("one two", "", "stop")
    assert len(tokens) < len(tiny_tokenizer.encode("one two. three"))


def test_what_was_held_back_and_no_stop_string_is_the_tail(
    tiny_model: Decoder, tiny_tokenizer: Tokenizer, speak: Callable[[Sequence[int]], None]
) -> None:
    ids = tiny_tokenizer.encode("cloth END")
    speak(ids)
    config = DecodingConfig(max_tokens=len(ids), stop=("ENDING",))
    _, end = run(tiny_model, tiny_tokenizer, config)
    assert (end.text, end.tail, end.reason) == ("cloth END", "END", "length")


def test_half_a_character_at_the_end_is_the_tail(
    tiny_model: Decoder, tiny_tokenizer: Tokenizer, speak: Callable[[Sequence[int]], None]
) -> None:
    ids = tiny_tokenizer.encode("a織")[:-1]
    speak(ids)
    _, end = run(tiny_model, tiny_tokenizer, DecodingConfig(max_tokens=len(ids)))
    assert (end.text, end.tail) == ("a\ufffd", "\ufffd")


def test_it_ends_when_it_is_asked_to(tiny_model: Decoder, tiny_tokenizer: Tokenizer) -> None:
    answers = iter([False, False, True])
    tokens, end = run(
        tiny_model,
        tiny_tokenizer,
        DecodingConfig(max_tokens=30, seed=1),
        should_stop=lambda: next(answers),
    )
    assert (len(tokens), end.reason) == (3, "stopped")


@settings(max_examples=25)
@given(
    ids=st.lists(st.integers(0, VOCAB_SIZE - 1), min_size=1, max_size=20),
    stop=st.sampled_from("eth aE"),
)
def test_token_texts_and_tail_are_the_whole_reply(
    tiny_tokenizer: Tokenizer, ids: list[int], stop: str
) -> None:
    model = make_model(make_config(num_hidden_layers=1))
    with pytest.MonkeyPatch.context() as patch:
        said = iter(ids)
        patch.setattr(row_module, "draw", lambda logits, generator: next(said))
        config = DecodingConfig(stop=(stop,), max_tokens=len(ids))
        _, end = run(model, tiny_tokenizer, config)
    assert end.text == tiny_tokenizer.decode(ids).partition(stop)[0]


def test_a_seed_gives_the_same_text_again(tiny_model: Decoder, tiny_tokenizer: Tokenizer) -> None:
    def text(seed: int | None) -> str:
        return run(tiny_model, tiny_tokenizer, DecodingConfig(seed=seed, top_k=0))[1].text

    assert text(3) == text(3)
    assert text(3) != text(4)
    assert text(None) != text(None)


def test_drawing_does_not_touch_the_global_random_numbers(
    tiny_model: Decoder, tiny_tokenizer: Tokenizer
) -> None:
    before = torch.random.get_rng_state()
    run(tiny_model, tiny_tokenizer, DecodingConfig(seed=3, max_tokens=5))
    assert torch.equal(torch.random.get_rng_state(), before)


def test_greedy_is_temperature_zero_and_the_likeliest(tiny_model: Decoder) -> None:
    def ids(**settings: object) -> list[int]:
        config = DecodingConfig(**settings)  # type: ignore[arg-type]
        return [choice.token_id for choice in iter_choices(tiny_model, PROMPT, config, 15)]

    expected = list(PROMPT)
    with torch.no_grad():
        for _ in range(15):
            expected.append(int(tiny_model(torch.tensor([expected]))[0, -1].argmax()))
    assert ids(greedy=True) == ids(temperature=0.0) == ids(top_k=1) == expected[3:]


def test_log_probabilities_are_the_models_own(tiny_model: Decoder) -> None:
    config = DecodingConfig(seed=1, temperature=0.3, top_k=3, repetition_penalty=1.5)
    choices = list(iter_choices(tiny_model, PROMPT, config, 10))
    read = [*PROMPT, *(choice.token_id for choice in choices)]
    with torch.no_grad():
        log_probs = tiny_model(torch.tensor([read])).log_softmax(-1)[0]
    for place, choice in enumerate(choices, start=len(PROMPT)):
        expected = log_probs[place - 1, choice.token_id].item()
        assert choice.logprob == pytest.approx(expected, abs=1e-4)


def test_repetition_penalty_forbids_loops(tiny_model: Decoder) -> None:
    config = DecodingConfig(greedy=True, repetition_penalty=10.0)
    ids = [choice.token_id for choice in iter_choices(tiny_model, PROMPT, config, 40)]
    plain = iter_choices(tiny_model, PROMPT, DecodingConfig(greedy=True), 40)
    assert len(set(ids)) == 40
    assert len({choice.token_id for choice in plain}) < 40


def test_generating_leaves_a_model_that_can_be_trained(
    tiny_model: Decoder, tiny_tokenizer: Tokenizer
) -> None:
    run(tiny_model, tiny_tokenizer, DecodingConfig(max_tokens=3, seed=1))
    tiny_model(torch.tensor([PROMPT])).sum().backward()
    assert tiny_model.lm_head.weight.grad is not None


def test_settings_that_name_texts_and_ends_hold(
    tiny_model: Decoder, tiny_tokenizer: Tokenizer
) -> None:
    free, _ = run(tiny_model, tiny_tokenizer, DecodingConfig(greedy=True, max_tokens=6))
    first = free[0].token_id
    banned = DecodingConfig(greedy=True, max_tokens=6, logit_bias=(f"{first}=-1000",))
    tokens, _ = run(tiny_model, tiny_tokenizer, banned)
    assert first not in [token.token_id for token in tokens]
    ends = frozenset({first})
    _, at_once = run(
        tiny_model, tiny_tokenizer, DecodingConfig(greedy=True, max_tokens=6), end_ids=ends
    )
    longer = DecodingConfig(greedy=True, max_tokens=6, min_tokens=4)
    _, end = run(tiny_model, tiny_tokenizer, longer, end_ids=ends)
    assert at_once.new_tokens == 0 and end.new_tokens >= 4
