import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tests.samples import MIXED_TEXTS, STORY
from tissu_core.data.suffixes import sort_suffixes
from tissu_core.data.words import byte_offsets, word_spans

# Letters and signs that share first bytes in UTF-8, and an apostrophe, which is both.
PIECES = st.sampled_from(["a", "ab", "é", "×", "«", "中", " ", "'", "’", "\n", ",", "🧵"])  # noqa: RUF001


def sorted_places(text: str, depth: int = 1 << 16) -> tuple[bytes, list[int], list[int]]:
    raw, begins = text.encode(), byte_offsets(text, word_spans(text)[0])
    return raw, begins.tolist(), sort_suffixes(raw, begins, depth).tolist()


def check(text: str) -> None:
    raw, begins, found = sorted_places(text)
    assert found == sorted(begins, key=lambda begin: raw[begin:])


@given(st.lists(PIECES, max_size=60).map("".join))
def test_places_are_in_the_order_of_the_bytes_behind_them(text: str) -> None:
    check(text)


def test_the_order_holds_for_real_text_and_for_what_repeats() -> None:
    check(STORY * 3 + "".join(MIXED_TEXTS) * 2)
    check("ab " * 500 + "ab")
    check("a é a ×b")  # a letter and a sign with one first byte  # noqa: RUF001
    check("")


def test_what_is_the_same_to_the_depth_may_be_in_any_order() -> None:
    raw, begins, found = sorted_places("a b c d " * 40 + "e", depth=4)
    assert sorted(found) == begins
    assert [raw[at : at + 8] for at in found] == sorted(raw[at : at + 8] for at in begins)


def test_no_word_has_no_place() -> None:
    assert len(sort_suffixes(b"...", np.zeros(0, dtype=np.int64), 8)) == 0
