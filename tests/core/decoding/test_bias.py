import math

import pytest

from tissu_core.config.decoding import DecodingConfig, parse_bias
from tissu_core.decoding.bias import Bias, resolve_biases
from tissu_core.errors import ConfigError
from tissu_core.text.tokenizer import Tokenizer


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ("42=-1.5", (42, -1.5)),
        (" cloth=+2", (" cloth", 2.0)),
        ("a=b=3", ("a=b", 3.0)),
        ("==1", ("=", 1.0)),
        (" 42=1", (" 42", 1.0)),
    ],
)
def test_a_bias_is_a_text_or_an_id(entry: str, expected: tuple[object, float]) -> None:
    assert parse_bias(entry) == expected
    DecodingConfig(logit_bias=(entry,))


@pytest.mark.parametrize("entry", ["", "=", "=2", "word", "word=", "word=x", "word=nan", "1=inf"])
def test_what_is_no_bias_is_refused(entry: str) -> None:
    with pytest.raises(ConfigError, match="--logit-bias") as caught:
        DecodingConfig(logit_bias=("7=1", entry))
    assert caught.value.field == "logit_bias"


def test_a_word_is_banned_as_it_begins_and_as_it_follows(tiny_tokenizer: Tokenizer) -> None:
    ids = {tuple(tiny_tokenizer.encode(text)) for text in ("weaver", " weaver")}
    found = resolve_biases(DecodingConfig(ban_words=("weaver",)), tiny_tokenizer)
    assert {bias.ids for bias in found} == ids and len(ids) == 2
    assert all(bias.amount == -math.inf for bias in found)
    spaced = resolve_biases(DecodingConfig(ban_words=(" weaver",)), tiny_tokenizer)
    assert [list(bias.ids) for bias in spaced] == [tiny_tokenizer.encode(" weaver")]


def test_an_id_is_taken_as_it_is_and_must_exist(tiny_tokenizer: Tokenizer) -> None:
    last = tiny_tokenizer.vocab_size - 1
    config = DecodingConfig(logit_bias=(f"{last}=2",))
    assert resolve_biases(config, tiny_tokenizer) == [Bias((last,), 2.0)]
    with pytest.raises(ConfigError, match=str(last + 1)):
        resolve_biases(DecodingConfig(logit_bias=(f"{last + 1}=2",)), tiny_tokenizer)


def test_settings_that_cannot_be_met_are_refused() -> None:
    with pytest.raises(ConfigError, match="--ban-words is empty"):
        DecodingConfig(ban_words=("a", ""))
    with pytest.raises(ConfigError, match="--min-tokens is 9 and --max-tokens is 8"):
        DecodingConfig(min_tokens=9, max_tokens=8)
