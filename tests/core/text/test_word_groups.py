"""Words as a person would point at them."""

import pytest

from tissu_core.text.word_groups import group_words


def words(*pieces: str | bytes) -> list[str]:
    whole = [piece if isinstance(piece, bytes) else piece.encode() for piece in pieces]
    groups = group_words(whole)
    assert [index for group in groups for index in group] == [*range(len(pieces))]
    joined = [b"".join(whole[group.start : group.stop]) for group in groups]
    return [word.decode("utf-8", "ignore") for word in joined]


@pytest.mark.parametrize(
    ("pieces", "expected"),
    [
        (["The", " lo", "om", " set", "."], ["The", " loom", " set", "."]),
        ([" ", "The", " ", "loom"], [" The", " loom"]),
        (["don", "'", "t", " go", "!", "?"], ["don't", " go", "!?"]),
        (["a", "\n", "\n", "b", "\n", " c"], ["a", "\n\n", "b", "\n", " c"]),
        (["in", " 18", "74", " (", "312", ")"], ["in", " 1874", " (", "312", ")"]),
        (["織", "物", "は"], ["織", "物", "は"]),
        ([" na", b"\xc3", b"\xaf", "ve"], [" naïve"]),
        ([b"\xf0\x9f", b"\xa7\xb5", " x"], ["🧵", " x"]),
        (["see", b" \xf0\x9f", b"\xa7\xb5", b"\xc3"], ["see", " 🧵", ""]),
        (["one"], ["one"]),
        ([], []),
    ],
)
def test_words(pieces: list[str | bytes], expected: list[str]) -> None:
    assert words(*pieces) == expected
