"""SentencePiece models: a file ``tokenizer.model``, read without the library.

Field numbers are those of ``sentencepiece_model.proto`` (Kudo and Richardson 2018).
"""

from collections.abc import Mapping
from typing import Any

from tissu_core.text.imported.pieces import (
    PieceType,
    PieceVocabulary,
    build_from_pieces,
    check_pieces,
)
from tissu_core.text.imported.protobuf import Field, iter_fields
from tissu_core.text.tokenizer import Tokenizer
from tissu_core.text.tokenizer_config import tokenizer_config

_PIECES, _TRAINER, _NORMALIZER = 1, 2, 3
_PIECE, _SCORE, _TYPE = 1, 2, 3
_MODEL_TYPE, _SPACE_AT_END, _BYTE_FALLBACK = 3, 24, 35
_IDS = {"unk_token": (40, 0), "bos_token": (41, 1), "eos_token": (42, 2), "pad_token": (43, -1)}
_NAME, _CHARSMAP, _DUMMY_PREFIX, _EXTRA_SPACES, _ESCAPE = 1, 2, 3, 4, 5
_MODEL_TYPES = {1: "unigram", 2: "bpe", 3: "word", 4: "char"}


def tokenizer_from_sentencepiece(data: bytes) -> Tokenizer:
    """The tokenizer in the bytes of a model file.

    A model with a beginning-of-text piece is taken to begin its texts with it; the file does not
    say.

    Raises:
        ValueError: If they are no such model or use what tissu does not read; names the byte.
    """
    pieces, parts = [], dict[int, Mapping[int, Any]]({_TRAINER: {}, _NORMALIZER: {}})
    for field in iter_fields(data):
        if field.number == _PIECES:
            pieces.append(_read_piece(field))
        elif field.number in parts:
            parts[field.number] = _message(field)
    trainer, normalizer = parts[_TRAINER], parts[_NORMALIZER]
    types = [type for _, _, type in pieces]
    _refuse_unread(trainer, normalizer, types)
    vocabulary = PieceVocabulary(
        pieces=[piece for piece, _, _ in pieces],
        scores=[score for _, score, _ in pieces],
        types=types,
        is_unigram=_MODEL_TYPES[trainer.get(_MODEL_TYPE, 1)] == "unigram",
        byte_fallback=bool(trainer.get(_BYTE_FALLBACK, 0)),
        add_dummy_prefix=bool(normalizer.get(_DUMMY_PREFIX, 1)),
        remove_extra_whitespaces=bool(normalizer.get(_EXTRA_SPACES, 1)),
        charsmap=normalizer.get(_CHARSMAP, b""),
        cuts_line_ends=normalizer.get(_NAME, b"").startswith(b"nmt_"),
    )
    check_pieces(vocabulary)
    roles = {
        role: vocabulary.pieces[id]
        for role, (number, default) in _IDS.items()
        if 0 <= (id := _signed(trainer.get(number, default))) < len(types)
    }
    config = tokenizer_config(**roles, add_bos_token="bos_token" in roles)
    return Tokenizer(build_from_pieces(vocabulary), config)


def _read_piece(field: Field) -> tuple[str, float, int]:
    facts = _message(field)
    text = facts.get(_PIECE, b"")
    try:
        return text.decode(), facts.get(_SCORE, 0.0), facts.get(_TYPE, PieceType.NORMAL)
    except UnicodeDecodeError as error:
        raise ValueError(f"byte {field.offset}: a piece that is not UTF-8") from error


def _message(field: Field) -> dict[int, Any]:
    """The last value of each field, as protocol buffers have it."""
    if not isinstance(field.value, bytes):
        raise ValueError(f"byte {field.offset}: field {field.number} is no message")
    facts: dict[int, Any] = {}
    for inner in iter_fields(field.value, field.offset):
        expected = _KINDS[field.number].get(inner.number)
        if expected and not isinstance(inner.value, expected):
            raise ValueError(f"byte {inner.offset}: field {inner.number} is of another kind")
        facts[inner.number] = inner.value
    return facts


_KINDS: dict[int, dict[int, type]] = {
    _PIECES: {_PIECE: bytes, _SCORE: float, _TYPE: int},
    _TRAINER: dict.fromkeys(
        [_MODEL_TYPE, _SPACE_AT_END, _BYTE_FALLBACK, *(number for number, _ in _IDS.values())], int
    ),
    _NORMALIZER: {
        _NAME: bytes,
        _CHARSMAP: bytes,
        _DUMMY_PREFIX: int,
        _EXTRA_SPACES: int,
        _ESCAPE: int,
    },
}


def _refuse_unread(
    trainer: Mapping[int, Any], normalizer: Mapping[int, Any], types: list[int]
) -> None:
    kind = trainer.get(_MODEL_TYPE, 1)
    if kind not in (1, 2):
        raise ValueError(f"its type is {_MODEL_TYPES.get(kind, kind)}; unigram and bpe are read")
    if trainer.get(_SPACE_AT_END) or not normalizer.get(_ESCAPE, 1):
        raise ValueError("spaces stand otherwise in its pieces than before a word, as ▁")
    if types.count(PieceType.UNKNOWN) != 1:
        raise ValueError(f"it has {types.count(PieceType.UNKNOWN)} pieces for the unknown, not 1")
    if _MODEL_TYPES[kind] == "bpe" and PieceType.UNUSED in types:
        raise ValueError("its pieces are restricted to some that are used")


def _signed(number: int) -> int:
    return number - (1 << 64) if number >> 63 else number
