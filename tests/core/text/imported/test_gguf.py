import json
from typing import Any

import pytest
import sentencepiece

from tests.core.text.imported.made import HARD_TEXTS, like_llama
from tests.samples import CHATML, MIXED_TEXTS, STORY
from tissu_core.errors import InputError
from tissu_core.text.imported.gguf import SPLITS, tokenizer_from_gguf, unknown_split
from tissu_core.text.learning import learn
from tissu_core.text.special_tokens import SPECIAL_TOKENS
from tissu_core.text.tokenizer import Tokenizer

NORMAL, CONTROL, USER_DEFINED = 1, 3, 4


def byte_level_metadata(tokenizer: Tokenizer, pre: str = "qwen2") -> dict[str, Any]:
    """What llama.cpp's converter writes of a byte-level BPE tokenizer."""
    ids = tokenizer.backend.get_vocab(with_added_tokens=True)
    merges = json.loads(tokenizer.backend.to_str())["model"]["merges"]
    return {
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": pre,
        "tokenizer.ggml.tokens": sorted(ids, key=ids.__getitem__),
        "tokenizer.ggml.token_type": [
            CONTROL if id < len(SPECIAL_TOKENS) else NORMAL for id in range(len(ids))
        ],
        "tokenizer.ggml.merges": [" ".join(pair) for pair in merges],
        "tokenizer.ggml.eos_token_id": 0,
        "tokenizer.ggml.padding_token_id": 1,
    }


def pieces_metadata(data: bytes) -> dict[str, Any]:
    """What llama.cpp's converter writes of a SentencePiece model."""
    model = sentencepiece.SentencePieceProcessor(model_proto=data)
    ids = range(model.vocab_size())
    kinds = {model.is_control: 3, model.is_unknown: 2, model.is_byte: 6}
    return {
        "tokenizer.ggml.model": "llama",
        "tokenizer.ggml.pre": "default",
        "tokenizer.ggml.tokens": [model.id_to_piece(id) for id in ids],
        "tokenizer.ggml.scores": [model.get_score(id) for id in ids],
        "tokenizer.ggml.token_type": [
            next((type for is_kind, type in kinds.items() if is_kind(id)), NORMAL) for id in ids
        ],
        "tokenizer.ggml.bos_token_id": 1,
        "tokenizer.ggml.eos_token_id": 2,
        "tokenizer.ggml.unknown_token_id": 0,
    }


LEARNED = {split: learn([STORY, *MIXED_TEXTS[:4]], 500, split) for split in ("qwen2", "gpt2")}


@pytest.mark.parametrize(("pre", "split"), [("qwen2", "qwen2"), ("gpt-2", "gpt2")])
def test_a_byte_level_tokenizer_gives_its_ids(pre: str, split: str) -> None:
    theirs = LEARNED[split]
    ours = tokenizer_from_gguf(byte_level_metadata(theirs, pre))
    for text in HARD_TEXTS:
        assert ours.encode(text) == theirs.encode(text)
        assert ours.decode(ours.encode(text)) == text
    assert ours.control_tokens == theirs.control_tokens
    assert (ours.end_id, ours.start_id, ours.bos_id) == (0, 0, None)
    assert ours.config["pad_token"] == "<|pad|>"


def test_sentencepiece_in_it_gives_its_ids() -> None:
    data, theirs = like_llama()
    ours = tokenizer_from_gguf(pieces_metadata(data))
    for text in HARD_TEXTS:
        assert ours.encode(text) == theirs.encode(text)
    assert (ours.bos_id, ours.end_id, ours.start_id) == (1, 2, 1)
    bare = tokenizer_from_gguf({**pieces_metadata(data), "tokenizer.ggml.add_space_prefix": False})
    assert bare.encode("loom") == theirs.encode("loom", is_start=False)


def test_digits_stand_alone_where_the_name_says_so() -> None:
    theirs = learn(["in 1874 and 1875 and 1876 " * 9, STORY], 500, "gpt2")
    (year, *_) = (id for id, piece in enumerate(theirs.pieces) if piece == b" 187")
    assert theirs.encode(" 187") == [year]
    ours = tokenizer_from_gguf(byte_level_metadata(theirs, "smollm"))
    assert [ours.pieces[id] for id in ours.encode(" 187")] == [b" ", b"1", b"8", b"7"]


@pytest.mark.parametrize("pre", SPLITS)
def test_every_split_keeps_every_text(pre: str) -> None:
    facts = byte_level_metadata(LEARNED["qwen2"], pre)
    ours = tokenizer_from_gguf(facts)
    for text in HARD_TEXTS:
        assert ours.decode(ours.encode(text)) == text
    assert unknown_split(facts) == ""


def test_an_unknown_split_is_told_of() -> None:
    facts = byte_level_metadata(LEARNED["gpt2"], "of-tomorrow")
    ours = tokenizer_from_gguf(facts)
    assert unknown_split(facts) == "of-tomorrow"
    assert ours.encode(STORY) == LEARNED["gpt2"].encode(STORY)


def test_roles_template_and_pieces_of_the_user_are_taken_over() -> None:
    facts = byte_level_metadata(LEARNED["qwen2"], "llama-bpe")
    last = len(facts["tokenizer.ggml.tokens"]) - 1
    facts["tokenizer.ggml.token_type"][last] = USER_DEFINED
    facts |= {"tokenizer.ggml.bos_token_id": 4, "tokenizer.chat_template": CHATML}
    ours = tokenizer_from_gguf(facts)
    assert ours.chat_template == CHATML
    assert ours.bos_id == ours.start_id == 4
    assert ours.document([7]) == [4, 7, 0]
    spelled = ours.pieces[last].decode()
    assert ours.encode(f"x{spelled}x").count(last) == 1
    assert tokenizer_from_gguf({**facts, "tokenizer.ggml.add_bos_token": False}).start_id == 0


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"tokenizer.ggml.model": "bert"}, "'bert'; gpt2 and llama"),
        ({"tokenizer.ggml.model": 3}, "ggml.model is '3'"),
        ({"tokenizer.ggml.tokens": "abc"}, "ggml.tokens"),
        ({"tokenizer.ggml.tokens": ["a", "a"]}, "of which 1 differ"),
        ({"tokenizer.ggml.tokens": ["a", 7]}, "ggml.tokens is '7'"),
        ({"tokenizer.ggml.merges": ["a"]}, r"merges\[0\] is 'a'"),
        ({"tokenizer.ggml.eos_token_id": 10**9}, "id from 0 to 499"),
        ({"tokenizer.ggml.token_type": [1]}, "1 types"),
    ],
)
def test_what_does_not_fit_is_named(change: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        tokenizer_from_gguf(byte_level_metadata(LEARNED["qwen2"]) | change)
