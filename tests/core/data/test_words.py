import pytest

from tests.samples import MIXED_TEXTS, STORY
from tissu_core.data.words import byte_offsets, word_spans


def words(text: str) -> list[str]:
    begins, ends = word_spans(text)
    return [text[begin:end] for begin, end in zip(begins, ends, strict=True)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("It's only cloth, she said.", ["It's", "only", "cloth", "she", "said"]),
        ("the dogs' tails and 'tis", ["the", "dogs", "tails", "and", "tis"]),
        ("x_1 = f(y)[2]", ["x_1", "f", "y", "2"]),
        ("Straße—señor «naïve» e\u0301te\u0301", ["Straße", "señor", "naïve", "e\u0301te\u0301"]),
        ("織物は42本", ["織", "物", "は", "42", "本"]),
        ("हिन्दी भाषा।", ["हिन्दी", "भाषा"]),
        ("한국어와 العربية", ["한국어와", "العربية"]),
        ("🧵 ... --- \n\t", []),
        ("", []),
        ("a", ["a"]),
    ],
)
def test_words_are_what_stands_between_spaces_and_signs(text: str, expected: list[str]) -> None:
    assert words(text) == expected


@pytest.mark.parametrize("text", [STORY, *MIXED_TEXTS])
def test_bytes_and_characters_name_the_same_places(text: str) -> None:
    begins, ends = word_spans(text)
    raw = text.encode()
    found = zip(byte_offsets(text, begins), byte_offsets(text, ends), strict=True)
    assert [raw[begin:end].decode() for begin, end in found] == words(text)
