import itertools
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tissu_core.sanitize import StreamSanitizer, sanitize, sanitize_line

DANGEROUS = [
    *map(chr, [*range(0x20), *range(0x7F, 0xA0)]),
    *"\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u2028\u2029",
]
BANNED = frozenset(DANGEROUS) - {"\n", "\t"}
HOSTILE = st.lists(
    st.one_of(
        st.sampled_from(DANGEROUS),
        st.sampled_from(["\r\n", "\x1b[2J", "\x1b]0;title\x07", "\x9b31m", "織", "plain"]),
        st.text(alphabet=st.characters(exclude_categories=()), max_size=4),
    ),
    max_size=12,
).map("".join)


def cut(text: str, offsets: list[int]) -> list[str]:
    places = sorted({min(offset, len(text)) for offset in offsets} | {0, len(text)})
    return [text[begin:end] for begin, end in itertools.pairwise(places)]


@given(text=HOSTILE)
def test_nothing_a_terminal_obeys_gets_through(text: str) -> None:
    safe = sanitize(text)
    assert not set(safe) & BANNED
    safe.encode()  # no half of a surrogate pair is left


@given(text=HOSTILE)
def test_a_line_stays_one_line(text: str) -> None:
    safe = sanitize_line(text)
    assert not set(safe) & {*DANGEROUS}
    assert len(safe.splitlines()) <= 1
    safe.encode()


@given(text=HOSTILE, offsets=st.lists(st.integers(0, 40), max_size=6))
def test_text_in_pieces_is_as_safe_as_whole(text: str, offsets: list[int]) -> None:
    stream = StreamSanitizer()
    found = "".join(stream.feed(piece) for piece in cut(text, offsets)) + stream.flush()
    assert found == sanitize(text)
    assert not set(found) & BANNED


@given(text=st.text(alphabet=st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp", "Cf"))))
def test_ordinary_text_is_left_alone(text: str) -> None:
    assert sanitize(text) == sanitize_line(text) == text


def test_every_bidirectional_control_that_reorders_is_replaced() -> None:
    reordering = {"LRE", "RLE", "PDF", "LRO", "RLO", "LRI", "RLI", "FSI", "PDI"}
    for code in range(0x110000):
        if unicodedata.bidirectional(chr(code)) in reordering:
            assert chr(code) not in sanitize(chr(code))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("\x1b[31mred\x1b[0m", "␛[31mred␛[0m"),
        ("over\rwritten", "over␍written"),
        ("dos\r\nlines\n\tkept", "dos\nlines\n\tkept"),
        ("\x9b31m", "<9b>31m"),
        ("abc\u202edcb", "abc<u+202e>dcb"),
        ("\x7f\x00", "␡␀"),
        ("\ud800", "\ufffd"),
        ("caf\udce9.txt", "caf\\xe9.txt"),
        ("👩‍👧 e\u0301 \u200f", "👩‍👧 e\u0301 \u200f"),
    ],
)
def test_stand_ins(text: str, expected: str) -> None:
    assert sanitize(text) == expected


def test_a_line_shows_its_breaks() -> None:
    assert sanitize_line("a\r\nb\tc") == "a␍␊b c"
    assert sanitize_line(42) == "42"


def test_a_carriage_return_waits_for_what_follows() -> None:
    stream = StreamSanitizer()
    assert stream.feed("one\r") == "one"
    assert stream.feed("\ntwo\r") == "\ntwo"
    assert stream.feed("three\r") == "␍three"
    assert stream.flush() == "␍"
    assert stream.flush() == ""
