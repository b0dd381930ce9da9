"""Settings of a conversation over those that hold everywhere."""

import pytest

from tissu_cli.sessions.chat_settings import (
    FIELDS,
    changed_fields,
    described,
    parse_setting,
    with_overrides,
)
from tissu_core.config.decoding import DecodingConfig
from tissu_core.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "name", "value"),
    [
        ("temperature=0.5", "temperature", 0.5),
        ("temperature 0.5", "temperature", 0.5),
        (" top-k = 5 ", "top_k", 5),
        ("greedy=true", "greedy", True),
        ("seed=7", "seed", 7),
        ("temperature", "temperature", None),
        ("temperature=", "temperature", None),
    ],
)
def test_a_setting_is_read_in_the_ways_in_which_people_write_it(
    text: str, name: str, value: object
) -> None:
    assert parse_setting(text) == (name, value)


@pytest.mark.parametrize("text", ["temprature=1", "top_k=many", "top_k=1.5", "greedy=perhaps", ""])
def test_what_is_wrong_is_named(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_setting(text)
    assert caught.value.hint


def test_an_unknown_setting_names_the_nearest() -> None:
    with pytest.raises(ConfigError) as caught:
        parse_setting("temprature=1")
    assert "temperature" in f"{caught.value.message} {caught.value.hint}"


def test_what_was_set_here_wins_over_what_holds_everywhere() -> None:
    base = DecodingConfig(temperature=0.3, top_k=9)
    assert with_overrides(base, {"top_k": 2}) == DecodingConfig(temperature=0.3, top_k=2)
    assert with_overrides(base, {}) == base


@pytest.mark.parametrize("overrides", [{"top_p": 0}, {"min_tokens": 9999}, {"nothing": 1}])
def test_settings_that_would_not_do_are_refused(overrides: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        with_overrides(DecodingConfig(), overrides)


def test_what_was_changed_gives_the_same_settings_again() -> None:
    settings = DecodingConfig(seed=3, stop=("END",), ban_words=("no",), temperature=0.1)
    changed = changed_fields(settings)
    assert set(changed) == {"seed", "stop", "ban_words", "temperature"}
    assert with_overrides(DecodingConfig(), changed) == settings
    assert changed_fields(DecodingConfig()) == {}


def test_every_setting_says_what_it_does() -> None:
    assert all(described(name) for name in FIELDS)
