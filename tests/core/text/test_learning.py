import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.samples import MIXED_TEXTS, STORY
from tissu_core.errors import ResourceError
from tissu_core.text.incremental_decoder import IncrementalDecoder
from tissu_core.text.learning import iter_learning, learn
from tissu_core.text.special_tokens import SPECIAL_TOKENS
from tissu_core.text.splits import EXPORTABLE, SPLITS
from tissu_core.text.tokenizer import Tokenizer

VOCAB_SIZE = 340
TEXTS = [STORY, *MIXED_TEXTS]
LEARNED = {split: learn(TEXTS, VOCAB_SIZE, split) for split in SPLITS}

every_split = pytest.mark.parametrize("split", SPLITS)
ANY_TEXT = st.text(max_size=40)
PARTS = ("<0x0A>", "<unk>", "##ing", "▁", "Ġ", "Ċ", " ", "  ", "\t", "\r\n", "\n", "'s", "x_y")
ODD_PARTS = ("\ue000", "\U0010ffff", "\ufffd", "\u0300", "織", "🧵", " weaver", "loom")
TRAPS = st.lists(st.sampled_from([*SPECIAL_TOKENS[:4], *PARTS, *ODD_PARTS]), max_size=12).map(
    "".join
)


def write_sample(path: Path, *texts: str) -> Path:
    path.write_text("".join(json.dumps(text) + "\n" for text in texts), encoding="utf-8")
    return path


def learn_in_child(folder: Path, split: str) -> bytes:
    folder.mkdir()
    sample = write_sample(folder.parent / "sample.jsonl", *TEXTS)
    assert all(seconds >= 0 for seconds in iter_learning(sample, VOCAB_SIZE, folder, split))
    return (folder / "tokenizer.json").read_bytes() + (
        folder / "tokenizer_config.json"
    ).read_bytes()


@every_split
@given(text=st.one_of(ANY_TEXT, TRAPS))
def test_any_text_round_trips(split: str, text: str) -> None:
    tokenizer = LEARNED[split]
    ids = tokenizer.encode(text)
    assert tokenizer.decode(ids) == text
    assert all(id >= len(SPECIAL_TOKENS) for id in ids)
    assert b"".join(tokenizer.pieces[id] for id in ids) == text.encode()
    lengths = tokenizer.token_bytes()
    assert sum(lengths[id] for id in ids) == len(text.encode())


@every_split
@given(ids=st.lists(st.integers(0, VOCAB_SIZE - 1), max_size=30))
def test_pieces_of_any_ids_join_to_the_whole_text(split: str, ids: list[int]) -> None:
    tokenizer = LEARNED[split]
    ids = [id for id in ids if id < tokenizer.vocab_size]
    decoder = IncrementalDecoder(tokenizer)
    joined = "".join([*map(decoder.feed, ids), decoder.flush()])
    assert joined == tokenizer.decode(ids)
    assert joined == b"".join(tokenizer.pieces[id] for id in ids).decode("utf-8", "replace")


@every_split
def test_control_tokens_have_their_fixed_ids(split: str) -> None:
    expected = {spelling: id for id, spelling in enumerate(SPECIAL_TOKENS)}
    assert LEARNED[split].control_tokens == expected
    assert LEARNED[split].token_bytes()[:17] == [0] * 16 + [1]


@every_split
def test_the_file_gives_the_same_tokenizer(split: str, tmp_path: Path) -> None:
    LEARNED[split].save(tmp_path)
    found = Tokenizer.load(tmp_path)
    assert found.sha256 == LEARNED[split].sha256
    assert found.encode_batch(TEXTS) == [LEARNED[split].encode(text) for text in TEXTS]
    assert found.is_exportable == (split in EXPORTABLE)


@every_split
def test_what_begins_with_a_piece_is_found(split: str) -> None:
    tokenizer = LEARNED[split]
    (space,) = tokenizer.encode(" ")
    found = tokenizer.ids_beginning(b" ")
    assert space in found
    assert found == [id for id, piece in enumerate(tokenizer.pieces) if piece.startswith(b" ")]


@pytest.mark.parametrize("split", ["qwen2", "char", "word"])
def test_threads_and_processes_change_no_byte(
    split: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = []
    for threads in ("1", "3"):
        monkeypatch.setenv("RAYON_NUM_THREADS", threads)
        found.append(learn_in_child(tmp_path / threads, split))
    assert found[0] == found[1]
    LEARNED[split].save(tmp_path)
    assert (tmp_path / "tokenizer.json").read_bytes() in found[0]


def pieces_of(split: str, text: str) -> list[str]:
    """The units that no token crosses, learned from nothing but this text."""
    tokenizer = learn([text] * 3, 1000, split)
    return [tokenizer.pieces[id].decode() for id in tokenizer.encode(text)]


def test_a_word_takes_its_space_and_han_stands_alone() -> None:
    assert pieces_of("word", "The weaver's  loom, 機織 café_1\n") == [
        *("The", " weaver", "'", "s", " ", " loom", ",", " 機", "織", " café_1", "\n"),
    ]


def test_a_character_is_one_token() -> None:
    assert pieces_of("char", "é織🧵 \r\n") == ["é", "織", "🧵", " ", "\r", "\n"]


def test_code_is_cut_at_humps_underscores_and_line_ends() -> None:
    text = "def get_HTTPResponse(xValue):\n\n        return 12345\n"
    assert pieces_of("code", text) == [
        *("def", " get", "_HTTP", "Response", "(x", "Value", "):\n\n        "),
        *("return", " ", "123", "45", "\n"),
    ]


def test_numbers_and_spaces_by_gpt2() -> None:
    assert pieces_of("gpt2", "it's 2024   now") == ["it", "'s", " 2024", "  ", " now"]


@pytest.mark.parametrize("split", ["char", "word"])
def test_the_most_frequent_pieces_are_kept(split: str) -> None:
    tokenizer = learn(["é é é ñ ñ ü"], 274, split)
    kept = [piece.decode() for piece in tokenizer.pieces[272:]]
    assert kept == (["é", "ñ"] if split == "char" else [" é", " ñ"])
    assert tokenizer.decode(tokenizer.encode("ü é ø")) == "ü é ø"


def test_a_failing_child_is_a_resource_error(tmp_path: Path) -> None:
    with pytest.raises(ResourceError, match="learning the vocabulary failed") as caught:
        list(iter_learning(tmp_path / "missing.jsonl", 300, tmp_path))
    assert caught.value.hint
    assert not (tmp_path / "tokenizer.json").exists()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs FIFOs")
def test_closing_the_iterator_ends_the_child(tmp_path: Path) -> None:
    fifo = tmp_path / "sample.jsonl"
    os.mkfifo(fifo)  # the child waits here for ever
    learning = iter_learning(fifo, 300, tmp_path)
    next(learning)
    learning.close()  # returns only when the child is gone
    assert not (tmp_path / "tokenizer.json").exists()
