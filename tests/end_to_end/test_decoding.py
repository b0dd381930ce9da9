"""Settings of a reply through the real command."""

import pytest

from tests.end_to_end.conftest import Trained

GREEDY = ["generate", "cloth", "-p", "The weaver counted", "--greedy", "--max-tokens", "24"]


def test_banned_words_stay_away(trained_once: Trained) -> None:
    free = trained_once.tissu(*GREEDY, "--json").json["text"]
    words = [word for word in dict.fromkeys(free.split()) if word.isalpha()]
    bans = [part for word in words for part in ("--ban-words", word)]
    found = trained_once.tissu(*GREEDY, *bans, "--json").json["text"]
    assert words and not {*words} & {*found.split()}


def test_a_bias_and_an_earliest_end_hold(trained_once: Trained) -> None:
    tissu = trained_once.tissu
    assert "~~~" in tissu(*GREEDY, "--logit-bias", "~=99").out
    at_once = tissu(*GREEDY, "--logit-bias", "0=99", "--json").json
    longer = tissu(*GREEDY, "--logit-bias", "0=99", "--min-tokens", "5", "--json").json
    assert (at_once["new_tokens"], at_once["reason"]) == (0, "stop")
    assert (longer["new_tokens"], longer["reason"]) == (5, "stop")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--logit-bias", "cloth"], "--logit-bias is 'cloth'"),
        (["--logit-bias", "99999=1"], "the vocabulary has 3"),
        (["--ban-words", ""], "--ban-words is empty"),
        (["--min-tokens", "99"], "--min-tokens is 99"),
        (["--no-repeat-ngram", "-1"], "--no-repeat-ngram is -1"),
        (["--presence-penalty", "nan"], "--presence-penalty"),
    ],
)
def test_settings_that_cannot_be_are_refused(
    trained_once: Trained, options: list[str], words: str
) -> None:
    result = trained_once.tissu(*GREEDY, *options)
    assert result.code == 2
    assert words in result.error[0]
