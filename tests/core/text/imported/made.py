"""Models of SentencePiece and ranks of tiktoken, learned on the spot."""

import base64
import io
from functools import cache
from typing import Any

import sentencepiece

from tests.samples import MIXED_TEXTS, STORY
from tissu_core.text.imported.sentencepiece import tokenizer_from_sentencepiece
from tissu_core.text.learning import learn
from tissu_core.text.special_tokens import SPECIAL_TOKENS
from tissu_core.text.tokenizer import Tokenizer

HARD_TEXTS = (
    *MIXED_TEXTS,
    STORY,
    "</s>",
    "<s> a",
    "x <0x41> <unk></s><s>",
    "a\u0301 ① \uff21 ﬁ Ⅷ ㍻ ½ क्षि",
    "def f(x):\n    return x\r\n",
    " " * 37 + "x",
    "\t\tx\n\n  y",
    "   ",
)


@cache
def sentencepiece_model(kind: str, *, byte_fallback: bool, rule: str, **more: Any) -> bytes:
    out = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(("\n".join([STORY, *MIXED_TEXTS[:3]])).splitlines() * 3),
        model_writer=out,
        model_type=kind,
        byte_fallback=byte_fallback,
        vocab_size=450 if byte_fallback or more.get("user_defined_symbols") else 200,
        normalization_rule_name=rule,
        hard_vocab_limit=False,
        minloglevel=2,
        num_threads=1,
        **more,
    )
    return out.getvalue()


def like_llama(**more: Any) -> tuple[bytes, Tokenizer]:
    """The bytes of a model as Llama 2's is, and tissu's tokenizer of it."""
    data = sentencepiece_model(
        "bpe", byte_fallback=True, rule="identity", remove_extra_whitespaces=False, **more
    )
    return data, tokenizer_from_sentencepiece(data)


def ranks() -> dict[bytes, int]:
    """Ranks as tiktoken has them: each token is made of two that come before it."""
    tokenizer = learn([STORY, *MIXED_TEXTS[:4]], 700, "qwen2")
    pieces = tokenizer.pieces[len(SPECIAL_TOKENS) :]
    return {piece: id for id, piece in enumerate(pieces)}


def rank_file(of: dict[bytes, int]) -> bytes:
    return b"".join(base64.b64encode(token) + b" %d\n" % id for token, id in of.items())
