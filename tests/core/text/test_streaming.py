import itertools
import random

import pytest

from tests.samples import MIXED_TEXTS, STORY
from tissu_core.errors import InputError
from tissu_core.text import streaming
from tissu_core.text.learning import learn
from tissu_core.text.splits import SPLITS
from tissu_core.text.streaming import iter_decoded, iter_pieces

CODE = "class TheLoom:\n\n    def warp(self, x_1=None):\n        return [12345,\n\n  x_1]\n\n\n"
TEXT = (STORY + CODE + "\n".join(MIXED_TEXTS)) * 3


@pytest.fixture
def tiny_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streaming, "_PIECE_CHARACTERS", 40)
    monkeypatch.setattr(streaming, "_IDS_AT_ONCE", 3)


def chunks_of(text: str, seed: int) -> list[str]:
    draw = random.Random(seed)
    ends = [0, *sorted(draw.randrange(len(text)) for _ in range(60)), len(text)]
    return [text[begin:end] for begin, end in itertools.pairwise(ends)]


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.usefixtures("tiny_pieces")
def test_ids_of_a_stream_are_those_of_the_whole(split: str) -> None:
    tokenizer = learn([TEXT], 400, split)
    for seed in range(3):
        pieces = list(iter_pieces(chunks_of(TEXT, seed)))
        assert len(pieces) > 20
        ids = [id for piece in pieces for id in tokenizer.encode(piece)]
        assert ids == tokenizer.encode(TEXT)
        assert "".join(iter_decoded(tokenizer, ids)) == TEXT


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.usefixtures("tiny_pieces")
def test_text_of_streamed_ids_is_that_of_the_whole(split: str) -> None:
    tokenizer = learn([STORY], 300, split)
    draw = random.Random(1)
    for _ in range(20):
        ids = [draw.randrange(tokenizer.vocab_size) for _ in range(50)]
        assert "".join(iter_decoded(tokenizer, ids)) == tokenizer.decode(ids)


def test_a_text_without_line_or_word_is_cut_where_it_must(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streaming, "_PIECE_CHARACTERS", 10)
    monkeypatch.setattr(streaming, "_LONGEST_PIECE", 20)
    assert list(iter_pieces(["x" * 8] * 4)) == ["x" * 24, "x" * 8]
    assert list(iter_pieces([])) == []


@pytest.mark.parametrize("id", [-1, 300])
def test_an_unknown_id_is_named(id: int) -> None:
    tokenizer = learn([STORY], 300, "qwen2")
    with pytest.raises(InputError, match=f"{id} is no id"):
        list(iter_decoded(tokenizer, [20, id]))
