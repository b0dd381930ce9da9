import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.samples import MIXED_TEXTS, STORY, VOCAB_SIZE
from tissu_core.text.incremental_decoder import IncrementalDecoder
from tissu_core.text.tokenizer import Tokenizer


def pieces(tokenizer: Tokenizer, ids: list[int]) -> list[str]:
    decoder = IncrementalDecoder(tokenizer)
    return [*(decoder.feed(id) for id in ids), decoder.flush()]


@given(ids=st.lists(st.integers(0, VOCAB_SIZE - 1), max_size=40))
def test_pieces_of_any_ids_join_to_the_whole_text(
    tiny_tokenizer: Tokenizer, ids: list[int]
) -> None:
    assert "".join(pieces(tiny_tokenizer, ids)) == tiny_tokenizer.decode(ids)


HIGH_BYTES = st.lists(st.integers(0x80, 0xFF), max_size=12).map(bytes)


@given(data=st.lists(st.one_of(HIGH_BYTES, st.text(max_size=3).map(str.encode)), max_size=8))
def test_pieces_of_broken_utf8_join_to_the_whole_text(
    tiny_tokenizer: Tokenizer, data: list[bytes]
) -> None:
    ids = [byte_id(tiny_tokenizer, byte) for byte in b"".join(data)]
    assert "".join(pieces(tiny_tokenizer, ids)) == tiny_tokenizer.decode(ids)


def byte_id(tokenizer: Tokenizer, byte: int) -> int:
    """The id that stands for one byte: bytes are spelled in the order of GPT-2's alphabet."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [other for other in range(256) if other not in printable]
    spelling = chr(byte) if byte in printable else chr(256 + others.index(byte))
    found = tokenizer.backend.token_to_id(spelling)
    assert found is not None
    return found


@pytest.mark.parametrize("text", [*MIXED_TEXTS, STORY])
def test_pieces_of_a_text_join_to_it(tiny_tokenizer: Tokenizer, text: str) -> None:
    assert "".join(pieces(tiny_tokenizer, tiny_tokenizer.encode(text))) == text


@pytest.mark.parametrize("text", ["織物", "🧵🪡", "né", "👩‍👩‍👧"])
def test_no_piece_holds_half_a_character(tiny_tokenizer: Tokenizer, text: str) -> None:
    ids = tiny_tokenizer.encode(text)
    assert len(ids) > len(text), "this text is meant to be cut inside its characters"
    found = pieces(tiny_tokenizer, ids)
    assert "\ufffd" not in "".join(found)
    assert "" in found[:-1]
    assert found[-1] == ""


def test_text_comes_as_soon_as_it_is_whole(tiny_tokenizer: Tokenizer) -> None:
    decoder = IncrementalDecoder(tiny_tokenizer)
    first, second, third = (byte_id(tiny_tokenizer, byte) for byte in "織".encode())
    assert [decoder.feed(first), decoder.feed(second), decoder.feed(third)] == ["", "", "織"]
    assert decoder.feed(byte_id(tiny_tokenizer, ord("a"))) == "a"


def test_an_unfinished_character_is_flushed_as_a_replacement(tiny_tokenizer: Tokenizer) -> None:
    decoder = IncrementalDecoder(tiny_tokenizer)
    for byte in "a織".encode()[:-1]:
        decoder.feed(byte_id(tiny_tokenizer, byte))
    assert decoder.flush() == "\ufffd"
    assert decoder.flush() == ""


def test_control_tokens_give_no_text(tiny_tokenizer: Tokenizer) -> None:
    ids = [0, *tiny_tokenizer.encode("loom"), 3, *tiny_tokenizer.encode("hill")]
    assert "".join(pieces(tiny_tokenizer, ids)) == "loomhill"
