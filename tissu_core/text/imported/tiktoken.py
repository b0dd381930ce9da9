"""tiktoken's ranks: a file of tokens, each in base 64 with its id, best first.

The file has neither the pattern that splits a text nor the control tokens; both go by a name.
"""

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tissu_core.text.imported.byte_level import build_byte_level
from tissu_core.text.imported.pieces import merges_of
from tissu_core.text.special_tokens import END_OF_TEXT
from tissu_core.text.splits import GPT2, LLAMA3, O200K, byte_spellings
from tissu_core.text.tokenizer import Tokenizer
from tissu_core.text.tokenizer_config import tokenizer_config

if TYPE_CHECKING:
    from tokenizers import Tokenizer as Backend

_MOST_HOLES = 4096
"""Ids without a rank, kept for control tokens; known files have up to 1,088."""


@dataclass(frozen=True, slots=True)
class Encoding:
    """What a file of ranks leaves out."""

    pattern: str
    control_tokens: Mapping[str, int] = field(default_factory=dict)


_FILL_IN = ("<|fim_prefix|>", "<|fim_middle|>", "<|fim_suffix|>")
ENCODINGS = {
    **dict.fromkeys(("gpt2", "r50k_base", "p50k_base"), Encoding(GPT2, {END_OF_TEXT: 50_256})),
    "cl100k_base": Encoding(
        LLAMA3,
        {
            **{token: 100_257 + number for number, token in enumerate((END_OF_TEXT, *_FILL_IN))},
            "<|endofprompt|>": 100_276,
        },
    ),
    "o200k_base": Encoding(O200K, {END_OF_TEXT: 199_999, "<|endofprompt|>": 200_018}),
}


def tokenizer_from_ranks(data: bytes, encoding: Encoding) -> Tokenizer:
    """The tokenizer of a ``.tiktoken`` file.

    Where the encoding names no control tokens, ``<|endoftext|>`` is the id after the last.

    Raises:
        ValueError: If a line is no rank, or the ranks are no vocabulary; names the line.
    """
    alphabet = byte_spellings()
    ids = {"".join(alphabet[byte] for byte in token): id for token, id in _read_ranks(data).items()}
    missing = next((byte for byte, name in enumerate(alphabet) if name not in ids), None)
    if missing is not None:
        raise ValueError(f"it has no token for the byte {missing}")
    controls = encoding.control_tokens or {END_OF_TEXT: 1 + max(ids.values())}
    taken = {id: name for name, id in ids.items()}
    for token, id in controls.items():
        if id in taken or id >= len(ids) + _MOST_HOLES:
            raise ValueError(
                f"{token} would have the id {id:,} among {len(ids):,} tokens: "
                "it is the file of another encoding"
            )
    return Tokenizer(_build(ids, controls, encoding.pattern), tokenizer_config())


def _build(ids: dict[str, int], controls: Mapping[str, int], pattern: str) -> "Backend":
    known = {**ids, **controls}
    holes = sorted(set(range(max(known.values()))) - set(known.values()))
    fillers = {f"<|unused_{id}|>": id for id in holes}
    return build_byte_level(
        {**known, **fillers},
        merges_of(sorted(ids, key=ids.__getitem__)),
        [pattern],
        controls=[*controls, *fillers],
        ignore_merges=True,  # a piece that is a token is looked up first
    )


def _read_ranks(data: bytes) -> dict[bytes, int]:
    ranks: dict[bytes, int] = {}
    lines = data.splitlines()
    for number, line in enumerate(lines, 1):
        words = line.split()
        if not words:
            continue
        try:
            encoded, rank = words
            token, id = base64.b64decode(encoded, validate=True), int(rank)
        except (ValueError, binascii.Error) as error:
            raise ValueError(f"line {number}: no token in base 64 with its id") from error
        if not token or token in ranks:
            raise ValueError(f"line {number}: the token is {'there twice' if token else 'empty'}")
        if not 0 <= id < len(lines) + _MOST_HOLES:
            raise ValueError(f"line {number}: the id {id} in a file of {len(lines):,} lines")
        ranks[token] = id
    if len(set(ranks.values())) < len(ranks):
        raise ValueError("two of its tokens have one id")
    return ranks
