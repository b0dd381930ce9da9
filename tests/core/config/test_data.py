import pytest

from tissu_core.config.data import ReadingConfig
from tissu_core.errors import ConfigError


@pytest.mark.parametrize("name", ["auto", "utf-8", "latin-1", "CP1252", "utf-16", "shift_jis"])
def test_encodings_of_files_are_taken(name: str) -> None:
    assert ReadingConfig(encoding=name).encoding == name


@pytest.mark.parametrize(
    ("name", "close"),
    [("latin-11", "latin_1"), ("utf8bit", "utf_8"), ("cp12522", "cp1252"), ("klingon", "")],
)
def test_an_unknown_encoding_is_answered_with_the_nearest(name: str, close: str) -> None:
    with pytest.raises(ConfigError, match=name) as caught:
        ReadingConfig(encoding=name)
    assert close in caught.value.hint


@pytest.mark.parametrize("name", ["zip", "rot13", "idna", "unicode_escape", "undefined", "", "\0"])
def test_codecs_that_are_not_of_files_are_refused(name: str) -> None:
    with pytest.raises(ConfigError):
        ReadingConfig(encoding=name)
