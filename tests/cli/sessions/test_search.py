"""Finding words in what was said."""

from collections.abc import Iterator

import pytest

from tests.cli.sessions.conversations import kept
from tissu_cli.sessions.history import History, NoHistory
from tissu_core.errors import InputError


@pytest.fixture
def history() -> Iterator[History]:
    history = NoHistory()
    yield history
    history.close()


@pytest.mark.parametrize(
    ("words", "is_found"),
    [
        ("quick", True),
        ("uick bro", True),
        ("QUICK fox", True),
        ("fox quick", True),
        ("slow", False),
        ("quick slow", False),
        ("汉字处理", True),
        ("汉字", True),
        ("字", True),
        ("理汉", False),
        ("ox", True),
        ("%", False),
        ("_", False),
        ('say "hi"', True),
        ("", False),
        (" \x00 ", False),
        ("quick\x00fox", True),
        ("NEAR(", False),
        ("quick OR slow", False),
        ("quick* ^the", False),
        ("text:quick", False),
        ('"', True),
        ("\\", False),
        ("\udc80\udc80\udc80", False),
        ("quick " * 100_000, True),
        ("(" * 1000, False),
        ("émi", True),
    ],
)
def test_words_are_found_whatever_they_are(history: History, words: str, is_found: bool) -> None:
    said = 'The quick brown fox, 汉字处理, would say "hi" to Émile'
    conversation = kept(history, "hello", said)
    kept(history, "something else", "altogether")
    found = history.search(words, 5)
    assert [each.id for each in found] == ([conversation.id] if is_found else [])


def test_what_is_found_shows_its_place(history: History) -> None:
    conversation = kept(history, "before " * 50 + "needle\nand " + "after " * 50, "no", "needle")
    (found,) = history.search("NEEDLE", 5)
    assert (found.turn, found.role, found.snippet) == (conversation.leaf, "user", "needle")
    history.rename(conversation.id, "haystack")
    (found,) = history.search("hayst", 5)
    assert (found.turn, found.snippet) == (None, "haystack")
    (found,) = history.search("needle before", 5)
    assert found.snippet.startswith("before before") and found.snippet.endswith("…")


def test_a_text_that_changed_or_went_is_no_longer_found(history: History) -> None:
    conversation = kept(history, "hello", "kingfisher")
    turn = conversation.path()[-1]
    turn.text = "woodpecker"
    history.finish(conversation, turn)
    assert history.search("kingfisher", 5) == []
    assert len(history.search("woodpecker", 5)) == 1
    history.delete(conversation.id)
    assert history.search("woodpecker", 5) == history.list(5) == []
    with pytest.raises(InputError, match="no conversation"):
        history.load(conversation.id)
