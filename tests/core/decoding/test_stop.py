import itertools

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tissu_core.decoding.stop import StopText

# Two letters, so that stop strings and their beginnings are met in most texts.
LETTERS = st.text(alphabet="a織", max_size=14)
STOP = st.text(alphabet="a織", min_size=1, max_size=4)
STOPS = st.lists(STOP, max_size=3)
CUTS = st.lists(st.integers(0, 14), max_size=6)


def stream(pieces: list[str], stops: list[str]) -> tuple[str, bool]:
    stop = StopText(stops)
    text = "".join(stop.feed(piece) for piece in pieces)
    return text + stop.flush(), stop.is_found


def cut(text: str, offsets: list[int]) -> list[str]:
    places = sorted({min(offset, len(text)) for offset in offsets} | {0, len(text)})
    return [text[begin:end] for begin, end in itertools.pairwise(places)]


@given(text=LETTERS, stop=STOP, cuts=CUTS)
def test_text_ends_before_a_stop_string_wherever_it_is_cut(
    text: str, stop: str, cuts: list[int]
) -> None:
    found, is_found = stream(cut(text, cuts), [stop])
    assert found == text.partition(stop)[0]
    assert is_found == (stop in text)


@given(text=LETTERS, stops=STOPS, cuts=CUTS)
@example(text="ab<", stops=["ab<", "b"], cuts=[])
def test_the_result_does_not_depend_on_the_pieces(
    text: str, stops: list[str], cuts: list[int]
) -> None:
    assert stream(cut(text, cuts), stops) == stream(list(text), stops)


@given(text=LETTERS, stops=STOPS, cuts=CUTS)
def test_no_stop_string_is_ever_shown(text: str, stops: list[str], cuts: list[int]) -> None:
    found, is_found = stream(cut(text, cuts), stops)
    assert text.startswith(found)
    assert not any(stop in found for stop in stops)
    assert is_found == any(stop in text for stop in stops)
    if not is_found:
        assert found == text


@given(text=LETTERS, stops=STOPS, cuts=CUTS)
def test_only_what_may_begin_a_stop_string_is_held_back(
    text: str, stops: list[str], cuts: list[int]
) -> None:
    stop, shown, read = StopText(stops), "", ""
    for piece in cut(text, cuts):
        shown += stop.feed(piece)
        read += piece
        if not stop.is_found:
            held = read[len(shown) :]
            assert held == "" or any(each.startswith(held) for each in stops)


@pytest.mark.parametrize(
    ("pieces", "shown"),
    [
        (["one", "<|", "x", "end"], ["one", "", "<|x", "end"]),
        (["a<", "|end|> gone", "more"], ["a", "", ""]),
        (["<", "<|end|>"], ["", "<"]),
    ],
)
def test_pieces_are_shown_as_soon_as_they_are_sure(pieces: list[str], shown: list[str]) -> None:
    stop = StopText(["<|end|>"])
    assert [stop.feed(piece) for piece in pieces] == shown


def test_nothing_is_shown_after_a_stop_string() -> None:
    stop = StopText(["."])
    assert stop.feed("One. Two.") == "One"
    assert stop.feed("Three") == ""
    assert stop.flush() == ""


def test_empty_stop_strings_stop_nothing() -> None:
    assert stream(["a", "b"], ["", ""]) == ("ab", False)
