"""How a vocabulary spells text: what each token stands for, and what stands before a text.

Two ways are read. GPT-2's has a printable character for each byte. SentencePiece's has "▁" for a
space, ``<0xE7>`` for a byte that no piece holds, and often a space before every text (a "dummy
prefix"), which is there in the ids and not in the text. Source: Kudo and Richardson 2018,
"SentencePiece: A simple and language independent subword tokenizer and detokenizer".
"""

import json
import re
from collections.abc import Iterable
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from tissu_core.errors import InputError
from tissu_core.text.backend import changed
from tissu_core.text.splits import byte_spellings

if TYPE_CHECKING:
    from tokenizers import Tokenizer as Backend

SPACE = "▁"
AT_START = r"\A"
"""Begins the pattern of a normaliser's rule that is about the beginning of a text."""
UNKNOWN = "\ufffd"
_BYTE = re.compile(r"<0x([0-9A-F]{2})>")
_BYTE_OF = {spelling: byte for byte, spelling in enumerate(byte_spellings())}
_PARTS = {"normalizer": "normalizers", "pre_tokenizer": "pretokenizers", "decoder": "decoders"}
_EXACT_RULES = ("Prepend", "Metaspace")


def is_byte_level(backend: "Backend") -> bool:
    """Whether tokens are sequences of bytes by GPT-2's alphabet."""
    return any(part["type"] == "ByteLevel" for part in _parts(backend, "decoder"))


def drops_first_space(backend: "Backend") -> bool:
    """Whether the space that begins the first token is no part of the text."""
    return any(
        part.get("start", 0) > 0 or part.get("prepend_scheme", "never") != "never"
        for part in _parts(backend, "decoder")
    )


def is_exact(backend: "Backend") -> bool:
    """Whether ids keep all of a text: nothing is normalised away, nothing is unknown."""
    rules = [part for part in _parts(backend, "normalizer") if not _keeps_text(part)]
    return not rules and (is_byte_level(backend) or getattr(backend.model, "byte_fallback", False))


def _keeps_text(rule: dict[str, Any]) -> bool:
    return rule["type"] in _EXACT_RULES or rule.get("content") == SPACE


def prefixes_every_segment(backend: "Backend") -> bool:
    """Whether what follows a control token gets the space that begins a text, too."""
    schemes = {part.get("prepend_scheme") for part in _parts(backend, "pre_tokenizer")}
    return "first" not in schemes


def without_prefix(backend: "Backend") -> "Backend":
    """A tokenizer for text that goes on: the same, but nothing is put before it."""
    facts = {}
    for name in ("normalizer", "pre_tokenizer"):
        parts = _parts(backend, name)
        kept = [_inside(part) for part in parts if not _is_about_start(part)]
        if kept != parts:
            facts[name] = {"type": "Sequence", _PARTS[name]: kept}
    return changed(backend, facts) if facts else backend


def _is_about_start(part: dict[str, Any]) -> bool:
    pattern = part.get("pattern", {}).get("Regex", "")
    return part["type"] == "Prepend" or str(pattern).startswith(AT_START)


def _inside(part: dict[str, Any]) -> dict[str, Any]:
    never = {"prepend_scheme": "never", "add_prefix_space": False}
    return part | {name: value for name, value in never.items() if name in part}


def read_pieces(backend: "Backend", unknown: str | None) -> list[bytes]:
    """The bytes of text that each id stands for; none for control tokens.

    Where the token ``unknown`` stands for a text, that text is lost; it counts as one U+FFFD.

    Raises:
        InputError: If the vocabulary is spelled in another way.
    """
    kinds = {part["type"] for part in _parts(backend, "decoder")}
    if not (is_bytes := "ByteLevel" in kinds) and not _has_space_sign(backend):
        raise InputError(
            f"the tokenizer is neither byte-level nor SentencePiece-like (its decoder: "
            f"{', '.join(sorted(kinds)) or 'none'}): what its tokens stand for cannot be told",
            hint="a model with another tokenizer, or: tissu tokenize train",
        )
    vocabulary = backend.get_vocab(with_added_tokens=True)
    added = backend.get_added_tokens_decoder()
    pieces = [b""] * (1 + max(vocabulary.values(), default=-1))
    for spelling, id in vocabulary.items():
        if id in added and added[id].special:
            lost = spelling == unknown and not is_bytes
            pieces[id] = UNKNOWN.encode() if lost else b""
        elif is_bytes:
            pieces[id] = spelling.encode() if id in added else _from_alphabet(spelling)
        elif "ByteFallback" in kinds and (byte := _BYTE.fullmatch(spelling)):
            pieces[id] = bytes.fromhex(byte[1])
        else:
            pieces[id] = spelling.replace(SPACE, " ").encode()
    return pieces


def _from_alphabet(spelling: str) -> bytes:
    try:
        return bytes(map(_BYTE_OF.__getitem__, spelling))
    except KeyError:  # not learned but put in by hand
        return spelling.encode()


def _has_space_sign(backend: "Backend") -> bool:
    return any(
        part["type"] == "Metaspace" or part.get("pattern") == {"String": SPACE}
        for part in _parts(backend, "decoder")
    )


def _parts(backend: "Backend", name: str) -> list[dict[str, Any]]:
    """The components of a pipeline's step, as its file writes them."""
    step = getattr(backend, name)
    return [] if step is None else _flat(json.loads(step.__getstate__()), _PARTS[name])


def _flat(part: dict[str, Any], inner: str) -> list[dict[str, Any]]:
    if part["type"] != "Sequence":
        return [part]
    return [leaf for child in part[inner] for leaf in _flat(child, inner)]


def cut_inside(text: str, spellings: Iterable[str]) -> list[str]:
    """A text in parts, none of which holds all of one of these spellings."""
    found = re.finditer("|".join(map(re.escape, spellings)), text)
    cuts = [0, *(match.start() + 1 for match in found), len(text)]
    return [text[begin:end] for begin, end in pairwise(cuts)]
