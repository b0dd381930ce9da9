"""A tokenizer as the metadata of a GGUF file; ``imported/gguf.py`` goes the other way.

Source: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

import json
from collections.abc import Collection, Mapping
from typing import Any

from tissu_core.errors import ConfigError
from tissu_core.text.imported.gguf import KEY, LED, SPLITS
from tissu_core.text.imported.pieces import PieceType
from tissu_core.text.splits import GPT2
from tissu_core.text.tokenizer import Tokenizer

_PLAIN_NORMALIZERS = ("NFC",)
"""What llama.cpp leaves out, and changes no text that is composed already."""


def tokenizer_metadata(
    tokenizer: Tokenizer, num_rows: int, end_ids: Collection[int] = ()
) -> dict[str, Any]:
    """Vocabulary, merges, roles and chat template; as many tokens as the embedding has rows.

    ``end_ids`` end a reply beside the tokenizer's own end.

    Raises:
        ConfigError: If llama.cpp has no tokenizer that cuts and joins a text so.
    """
    state = json.loads(tokenizer.backend.to_str())
    model = state["model"]
    if model.get("type") != "BPE":
        raise _unknown(f"is a {model.get('type')} model, and llama.cpp's are BPE")
    facts = _pieces(model) if model.get("byte_fallback") else _byte_level(state)
    tokens, types = _tokens(tokenizer, num_rows)
    roles = {
        "bos_token_id": tokenizer.start_id,
        "eos_token_id": tokenizer.end_id,
        "padding_token_id": _id_of(tokenizer, "pad_token"),
        "unknown_token_id": _id_of(tokenizer, "unk_token"),
        "eot_token_id": _turn_end(tokenizer, end_ids),
    }
    found = {
        **facts,
        "tokens": tokens,
        "token_type": types,
        **{role: id for role, id in roles.items() if id is not None},
        "add_bos_token": tokenizer.bos_id is not None,
    }
    if "scores" in facts:
        found["scores"] = _scores(tokens, model["merges"])
    template = tokenizer.chat_template
    more = {} if template is None else {"tokenizer.chat_template": template}
    return {**{f"{KEY}{name}": value for name, value in found.items()}, **more}


def _byte_level(state: Mapping[str, Any]) -> dict[str, Any]:
    model = state["model"]
    normalizer = state.get("normalizer")
    if normalizer is not None and normalizer.get("type") not in _PLAIN_NORMALIZERS:
        raise _unknown(f"changes texts by {normalizer.get('type')}")
    patterns = tuple(_patterns(state.get("pre_tokenizer")))
    is_led = bool(model.get("ignore_merges"))
    named = (name for name, cuts in SPLITS.items() if cuts == patterns and (name in LED) == is_led)
    name = next(named, None)
    if name is None:
        raise _unknown("cuts texts in a way of its own")
    merges = [pair if isinstance(pair, str) else " ".join(pair) for pair in model["merges"]]
    return {"model": "gpt2", "pre": name, "merges": merges}


def _patterns(pre_tokenizer: Mapping[str, Any] | None) -> list[str]:
    """The patterns that cut a text, one after the other, however the file spells them."""
    match pre_tokenizer:
        case {"type": "Sequence", "pretokenizers": parts}:
            return [pattern for part in parts for pattern in _patterns(part)]
        case {"type": "Split", "behavior": "Isolated", "pattern": {"Regex": pattern}}:
            return [pattern]
        case {"type": "Digits", "individual_digits": True}:
            return [r"\p{N}"]
        case {"type": "ByteLevel", "use_regex": uses, "add_prefix_space": False}:
            return [GPT2] if uses else []
        case _:
            raise _unknown("cuts texts in a way of its own")


def _pieces(model: Mapping[str, Any]) -> dict[str, Any]:
    return {"model": "llama", "scores": []}


def _scores(tokens: list[str], merges: list[Any]) -> list[float]:
    """The earlier a piece is made, the higher; llama.cpp joins the pair with the best first."""
    rank: dict[str, int] = {}
    for pair in merges:
        left, right = pair.split(" ") if isinstance(pair, str) else pair
        rank.setdefault(left + right, len(rank))
    return [-float(rank.get(token, len(rank))) for token in tokens]


def _tokens(tokenizer: Tokenizer, num_rows: int) -> tuple[list[str], list[int]]:
    """How each id is written, and what it is for; ids without a token have names of their own."""
    added = tokenizer.backend.get_added_tokens_decoder()
    is_pieces = not tokenizer.is_byte_level
    unknown = _id_of(tokenizer, "unk_token")
    tokens, types = [], []
    for id in range(num_rows):
        token = tokenizer.backend.id_to_token(id)
        kind = PieceType.NORMAL
        if token is None:
            token, kind = f"[PAD{id}]", PieceType.UNUSED
        elif id in added:
            kind = PieceType.CONTROL if added[id].special else PieceType.USER_DEFINED
            kind = PieceType.UNKNOWN if is_pieces and id == unknown else kind
        elif is_pieces and len(token) == 6 and token.startswith("<0x"):
            kind = PieceType.BYTE
        tokens.append(token)
        types.append(int(kind))
    return tokens, types


def _turn_end(tokenizer: Tokenizer, end_ids: Collection[int]) -> int | None:
    """The other token that ends a reply, as a chat's turn does."""
    others = {*tokenizer.end_ids, *end_ids} - {tokenizer.end_id, tokenizer.start_id}
    return min(others, default=None)


def _id_of(tokenizer: Tokenizer, role: str) -> int | None:
    token = tokenizer.config.get(role)
    name = token.get("content") if isinstance(token, dict) else token
    return tokenizer.backend.token_to_id(name) if name else None


def _unknown(why: str) -> ConfigError:
    return ConfigError(
        f"llama.cpp has no tokenizer like this one, which {why}",
        field="type",
        hint="tissu export hf MODEL, which transformers, vLLM and SGLang read",
    )
