"""The tokenizer inside a GGUF file, from its metadata.

Source: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

import builtins
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from tissu_core.errors import InputError
from tissu_core.text.backend import named_failures
from tissu_core.text.imported.byte_level import build_byte_level
from tissu_core.text.imported.pieces import (
    PieceType,
    PieceVocabulary,
    build_from_pieces,
    check_pieces,
)
from tissu_core.text.splits import GPT2, LLAMA3, O200K, QWEN2, TEKKEN
from tissu_core.text.tokenizer import Tokenizer
from tissu_core.text.tokenizer_config import tokenizer_config

if TYPE_CHECKING:
    from tokenizers import Tokenizer as Backend

T = TypeVar("T")
KEY = "tokenizer.ggml."
_ROLES = {
    "bos_token": "bos_token_id",
    "eos_token": "eos_token_id",
    "unk_token": "unknown_token_id",
    "pad_token": "padding_token_id",
}

_DIGIT = r"\p{N}"
_HAN = r"[\x{4e00}-\x{9fa5}\x{800}-\x{4e00}\x{ac00}-\x{d7ff}]+"
_DEEPSEEK = (
    r"[\r\n]",
    r"\s?[\p{Lu}\p{Ll}\p{Lt}]+",
    r"\s?[!-/:-~\x{ff01}-\x{ff0f}\x{ff1a}-\x{ff5e}\x{2018}-\x{201f}\x{3000}-\x{3002}]+",
    r"\s+$",
    _HAN,
    r"\p{N}+",
)
_DEEPSEEK3 = (
    r"\p{N}{1,3}",
    r"[\x{4e00}-\x{9fa5}\x{3040}-\x{309f}\x{30a0}-\x{30ff}]+",
    r"[!\"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+"
    r"| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
)
# By the names of llama.cpp: the patterns that cut a text, one after the other.
SPLITS: dict[str, tuple[str, ...]] = {
    "default": (r"[\p{P}\$\+<=>\^~\|]+", GPT2, r"\p{N}+", r"[0-9][0-9][0-9]"),
    **dict.fromkeys(("gpt-2", "phi-2", "mpt", "olmo", "jais", "trillion"), (GPT2,)),
    **dict.fromkeys(
        ("smollm", "starcoder", "refact", "command-r", "codeshell", "exaone", "minerva-7b"),
        (_DIGIT, GPT2),
    ),
    **dict.fromkeys(("qwen2", "stablelm2", "deepseek-r1-qwen", "hunyuan", "megrez"), (QWEN2,)),
    **dict.fromkeys(
        ("llama-bpe", "llama3", "llama-v3", "falcon3", "pixtral", "lfm2"),
        (LLAMA3,),
    ),
    **dict.fromkeys(("dbrx", "smaug-bpe", "chatglm-bpe", "glm4"), (LLAMA3,)),
    **dict.fromkeys(("gpt-4o", "llama4"), (O200K,)),
    "tekken": (TEKKEN,),
    "falcon": (r"[\p{P}\$\+<=>\^~\|`]+", GPT2, r"[0-9][0-9][0-9]"),
    "deepseek-llm": _DEEPSEEK,
    "deepseek-coder": (r"[\r\n]", r"\s?\p{L}+", r"\s?\p{P}+", _HAN, _DIGIT),
    **dict.fromkeys(("deepseek-v3", "hunyuan-dense"), _DEEPSEEK3),
}
_FALLBACK = "gpt-2"
# Whose texts begin with the beginning-of-text token unless the file says otherwise, and where a
# piece that is a token is looked up before any merge.
LED = frozenset({"llama-bpe", "llama3", "llama-v3", "falcon3", "pixtral", "lfm2", "tekken"})


def tokenizer_from_gguf(metadata: Mapping[str, Any]) -> Tokenizer:
    """The tokenizer that the metadata of a GGUF file describes; ``metadata`` has all its keys.

    Models ``gpt2`` (byte-level BPE) and ``llama`` (SentencePiece's spelling) are read. The split of
    the first goes by llama.cpp's names (``tokenizer.ggml.pre``; without one, ``default``). With a
    name that is not known (``unknown_split``) texts are cut as GPT-2's are.

    Raises:
        InputError: If it is of another kind, or what it says is no vocabulary.
    """
    read = _Metadata(metadata)
    kind = read.one("model", str, "")
    pre = read.one("pre", str, "default")
    with named_failures("what the GGUF file says of its tokenizer"):
        if kind == "gpt2":
            backend = _byte_level(read, pre)
        elif kind == "llama":
            backend = _pieces(read)
        else:
            raise InputError(
                f"{KEY}model is {kind!r}; gpt2 and llama are read", hint="use another model"
            )
    is_led = read.one("add_bos_token", bool, kind == "llama" or pre in LED)
    facts: dict[str, Any] = {role: read.token(key) for role, key in _ROLES.items()}
    if template := metadata.get("tokenizer.chat_template"):
        facts["chat_template"] = template
    return Tokenizer(backend, tokenizer_config(**facts, add_bos_token=is_led))


def unknown_split(metadata: Mapping[str, Any]) -> str:
    """The name of a split that tissu does not know; empty where it knows it.

    Tokens then may differ from those the model learned.
    """
    is_split = metadata.get(f"{KEY}model") == "gpt2"
    name = str(metadata.get(f"{KEY}pre", "default"))
    return name if is_split and name not in SPLITS else ""


def _byte_level(read: "_Metadata", pre: str) -> "Backend":
    tokens = read.many("tokens", str)
    types = read.many("token_type", int, [int(PieceType.NORMAL)] * len(tokens))
    ids = {token: id for id, token in enumerate(tokens)}
    if len(types) != len(tokens) or len(ids) != len(tokens):
        raise ValueError(
            f"{len(tokens)} tokens, of which {len(ids)} differ, and {len(types)} types"
        )
    merges = []
    for number, merge in enumerate(read.many("merges", str)):
        left, _, right = merge.partition(" ")
        if left not in ids or right not in ids or left + right not in ids:
            raise ValueError(f"{KEY}merges[{number}] is {merge!r}: no two tokens that make one")
        merges.append((left, right))
    typed = list(zip(tokens, types, strict=True))
    return build_byte_level(
        ids,
        merges,
        SPLITS.get(pre, SPLITS[_FALLBACK]),
        controls=[token for token, type in typed if type == PieceType.CONTROL],
        users=[token for token, type in typed if type == PieceType.USER_DEFINED],
        ignore_merges=pre in LED,
    )


def _pieces(read: "_Metadata") -> "Backend":
    tokens = read.many("tokens", str)
    types = read.many("token_type", int, [int(PieceType.NORMAL)] * len(tokens))
    vocabulary = PieceVocabulary(
        pieces=tokens,
        scores=read.many("scores", float, [0.0] * len(tokens)),
        types=types,
        is_unigram=False,
        byte_fallback=PieceType.BYTE in types,
        add_dummy_prefix=read.one("add_space_prefix", bool, True),
        remove_extra_whitespaces=read.one("remove_extra_whitespaces", bool, False),
    )
    check_pieces(vocabulary)
    return build_from_pieces(vocabulary)


class _Metadata:
    """Values of the keys that are about the tokenizer, checked for their type."""

    def __init__(self, metadata: Mapping[str, Any]) -> None:
        self._metadata = metadata

    def one(self, key: str, type: type[T], default: T) -> T:
        value = self._metadata.get(KEY + key, default)
        if not isinstance(value, type):
            raise _unfit(key, value, type.__name__)
        return value

    def many(self, key: str, type: type[T], default: list[T] | None = None) -> list[T]:
        values = self._metadata.get(KEY + key, default)
        if not isinstance(values, list):
            raise _unfit(key, values, f"list of {type.__name__}")
        if not all(issubclass(kind, type) for kind in {*map(builtins.type, values)}):
            strange = next(value for value in values if not isinstance(value, type))
            raise _unfit(key, strange, f"list of {type.__name__}")
        return values

    def token(self, key: str) -> str | None:
        """The token whose id a key gives."""
        if KEY + key not in self._metadata:
            return None
        id, tokens = self.one(key, int, 0), self.many("tokens", str)
        if not 0 <= id < len(tokens):
            raise _unfit(key, id, f"id from 0 to {len(tokens) - 1}")
        return tokens[id]


def _unfit(key: str, value: object, expected: str) -> InputError:
    return InputError(
        f"{KEY}{key} is {str(value)[:60]!r}, and should be: {expected}", hint="use another copy"
    )
