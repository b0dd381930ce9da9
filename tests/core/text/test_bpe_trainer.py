import json
import os
from pathlib import Path

import pytest

from tests.samples import MIXED_TEXTS, STORY
from tissu_core.errors import ResourceError
from tissu_core.text.bpe_trainer import SMALLEST_VOCABULARY, iter_learning, learn_bpe
from tissu_core.text.special_tokens import SPECIAL_TOKENS
from tissu_core.text.tokenizer import Tokenizer


def write_sample(path: Path, *texts: str) -> Path:
    path.write_text("".join(json.dumps(text) + "\n" for text in texts), encoding="utf-8")
    return path


def test_learning_twice_gives_the_same_vocabulary() -> None:
    assert learn_bpe([STORY], 400).to_str() == learn_bpe([STORY], 400).to_str()


def test_the_smallest_vocabulary_is_control_tokens_and_bytes() -> None:
    tokenizer = Tokenizer(learn_bpe([STORY], SMALLEST_VOCABULARY))
    assert tokenizer.vocab_size == SMALLEST_VOCABULARY == 272
    assert len(tokenizer.encode("织 a")) == 5


def test_merges_shorten_the_text_they_were_learned_from() -> None:
    small, large = (Tokenizer(learn_bpe([STORY], size)) for size in (272, 500))
    assert large.vocab_size == 500
    assert len(large.encode(STORY)) < 0.7 * len(small.encode(STORY))


def test_without_pairs_to_merge_the_vocabulary_stays_small() -> None:
    for texts in ([], ["a b c"]):
        tokenizer = Tokenizer(learn_bpe(texts, 1000))
        assert tokenizer.vocab_size < 280
        assert tokenizer.decode(tokenizer.encode("織物")) == "織物"


def test_digits_stand_alone_and_words_keep_their_space() -> None:
    tokenizer = learn_bpe(["the 1234 the 1234 the 1234"] * 9, 300)
    assert tokenizer.encode("the 1234").tokens == ["the", "Ġ", "1", "2", "3", "4"]
    assert tokenizer.encode(" the").tokens == ["Ġthe"]


def test_a_control_token_in_the_learned_text_keeps_its_fixed_id() -> None:
    tokenizer = learn_bpe([f"{spelling} " * 9 for spelling in reversed(SPECIAL_TOKENS)], 400)
    assert [tokenizer.token_to_id(spelling) for spelling in SPECIAL_TOKENS] == list(range(16))


def test_the_child_process_learns_what_the_function_learns(tmp_path: Path) -> None:
    sample = write_sample(tmp_path / "sample.jsonl", STORY, *MIXED_TEXTS)
    for seconds in iter_learning(sample, 350, tmp_path / "tokenizer.json"):
        assert seconds >= 0
    found = Tokenizer.load(tmp_path).backend
    assert found.to_str() == learn_bpe([STORY, *MIXED_TEXTS], 350).to_str()


def test_a_failing_child_is_a_resource_error(tmp_path: Path) -> None:
    with pytest.raises(ResourceError, match="learning the vocabulary failed") as caught:
        list(iter_learning(tmp_path / "missing.jsonl", 300, tmp_path / "tokenizer.json"))
    assert caught.value.hint
    assert not (tmp_path / "tokenizer.json").exists()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs FIFOs")
def test_closing_the_iterator_ends_the_child(tmp_path: Path) -> None:
    fifo = tmp_path / "sample.jsonl"
    os.mkfifo(fifo)  # the child waits here for ever
    learning = iter_learning(fifo, 300, tmp_path / "tokenizer.json")
    next(learning)
    learning.close()  # returns only when the child is gone
    assert not (tmp_path / "tokenizer.json").exists()
