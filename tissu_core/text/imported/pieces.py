"""Vocabularies in SentencePiece's spelling, as tokenizers of the ``tokenizers`` library."""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Any

from tissu_core.text.spelling import AT_START, SPACE

if TYPE_CHECKING:
    from tokenizers import Tokenizer as Backend
    from tokenizers.models import Model
    from tokenizers.normalizers import Normalizer

# Below any log-probability that is learned: what spells such a piece is always found otherwise.
_NEVER = -1e6
# o200k_base has 128 spaces; the search for pairs goes with the square.
_LONGEST_PIECE = 512
# What SentencePiece gives to pieces that are user-defined.
_ALWAYS = -0.1


class PieceType(IntEnum):
    """What a piece is for; the numbers are those of SentencePiece and of GGUF."""

    NORMAL = 1
    UNKNOWN = 2
    CONTROL = 3
    USER_DEFINED = 4
    UNUSED = 5
    BYTE = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class PieceVocabulary:
    """Pieces with their scores and types, and how a text is prepared for them."""

    pieces: Sequence[str]
    scores: Sequence[float]
    types: Sequence[int]
    is_unigram: bool
    byte_fallback: bool
    add_dummy_prefix: bool = True
    remove_extra_whitespaces: bool = False
    charsmap: bytes = b""
    """Precompiled rules that replace characters, such as those of NFKC."""
    cuts_line_ends: bool = False
    """Whether the rules replace "\\r" and "\\n" one by one."""

    def of_type(self, *types: PieceType) -> list[str]:
        """The pieces of these types, in the order of their ids."""
        return [piece for piece, type in zip(self.pieces, self.types, strict=True) if type in types]


def check_pieces(vocabulary: PieceVocabulary) -> None:
    """Refuse what cannot be a vocabulary.

    Raises:
        ValueError: If it is not one; names the piece.
    """
    if not len(vocabulary.pieces) == len(vocabulary.scores) == len(vocabulary.types):
        raise ValueError(
            f"{len(vocabulary.pieces)} pieces, {len(vocabulary.scores)} scores and "
            f"{len(vocabulary.types)} types"
        )
    if not vocabulary.pieces:
        raise ValueError("no pieces")
    if "" in vocabulary.pieces:
        raise ValueError(f"piece {list(vocabulary.pieces).index('')} is empty")
    ((piece, count),) = Counter(vocabulary.pieces).most_common(1)
    if count > 1:
        raise ValueError(f"the piece {piece!r} stands there {count} times")
    rows = zip(vocabulary.pieces, vocabulary.scores, vocabulary.types, strict=True)
    known_types = set(PieceType)
    for piece, score, type in rows:
        if math.isnan(score) or (vocabulary.is_unigram and abs(score) >= -_NEVER):
            raise ValueError(f"the piece {piece!r} has the score {score}")
        if type not in known_types:
            raise ValueError(f"the piece {piece!r} has the unknown type {type}")
    if vocabulary.byte_fallback:
        missing = {f"<0x{byte:02X}>" for byte in range(256)} - set(vocabulary.pieces)
        if missing:
            raise ValueError(f"it falls back to bytes and has no {min(missing)}")


def build_from_pieces(vocabulary: PieceVocabulary) -> "Backend":
    """A tokenizer with SentencePiece's ids.

    One thing differs: where two pairs that overlap make the same piece, SentencePiece merges the
    left one first, and here it is the pair with the better parts.
    """
    from tokenizers import AddedToken, Regex, Tokenizer, decoders
    from tokenizers.pre_tokenizers import Split

    # What is user-defined wins in a lattice by its score; merges never make it.
    users = [] if vocabulary.is_unigram else vocabulary.of_type(PieceType.USER_DEFINED)
    backend = Tokenizer(_unigram(vocabulary) if vocabulary.is_unigram else _bpe(vocabulary))
    backend.normalizer = _normalizer(vocabulary, users)
    if vocabulary.is_unigram and (cuts := _cuts_in_reserved(vocabulary)):
        backend.pre_tokenizer = Split(Regex("|".join(cuts)), "isolated")
    strip = [decoders.Strip(" ", 1, 0)] if vocabulary.add_dummy_prefix else []
    backend.decoder = decoders.Sequence(
        [decoders.Replace(SPACE, " "), decoders.ByteFallback(), decoders.Fuse(), *strip]
    )
    backend.add_special_tokens(
        [
            AddedToken(piece, normalized=False, special=True)
            for piece in vocabulary.of_type(PieceType.CONTROL, PieceType.UNKNOWN)
        ]
    )
    # Found in the text as it was prepared, so that a run of spaces can be such a piece.
    backend.add_tokens([AddedToken(piece, normalized=True) for piece in users])
    return backend


def _unigram(vocabulary: PieceVocabulary) -> "Model":
    from tokenizers.models import Unigram

    rows = zip(vocabulary.pieces, vocabulary.scores, vocabulary.types, strict=True)
    fixed: dict[int, float] = dict.fromkeys(PieceType, _NEVER)
    fixed[PieceType.USER_DEFINED] = _ALWAYS
    scored = [(p, score if type == PieceType.NORMAL else fixed[type]) for p, score, type in rows]
    unknown = list(vocabulary.types).index(PieceType.UNKNOWN)
    return Unigram(scored, unk_id=unknown, byte_fallback=vocabulary.byte_fallback)


def _cuts_in_reserved(vocabulary: PieceVocabulary) -> list[str]:
    """Patterns of places inside what spells a piece that no text may give.

    The library would find such a piece where some character of it has no piece of its own; no
    other piece reaches across that character.
    """
    known = set(vocabulary.of_type(PieceType.NORMAL, PieceType.USER_DEFINED))
    cuts = []
    for piece, type in zip(vocabulary.pieces, vocabulary.types, strict=True):
        has_piece = [character in known for character in piece]
        if type in (PieceType.NORMAL, PieceType.USER_DEFINED) or all(has_piece) or len(piece) < 2:
            continue
        # Beside a known character, so that a run of unknown ones stays one.
        edges = (at for at in range(1, len(piece)) if has_piece[at - 1] != has_piece[at])
        at = next(edges, 1)
        cuts.append(f"(?<={escape(piece[:at])})(?={escape(piece[at:])})")
    return cuts


def _bpe(vocabulary: PieceVocabulary) -> "Model":
    from tokenizers.models import BPE

    rows = zip(vocabulary.pieces, vocabulary.scores, vocabulary.types, strict=True)
    normal = [(score, piece) for piece, score, type in rows if type == PieceType.NORMAL]
    normal.sort(key=lambda row: -row[0])  # equal scores stay in the order of their ids
    unknown = vocabulary.of_type(PieceType.UNKNOWN)
    return BPE(
        vocab={piece: id for id, piece in enumerate(vocabulary.pieces)},
        merges=merges_of([piece for _, piece in normal]),
        unk_token=unknown[0] if unknown else None,
        fuse_unk=True,
        byte_fallback=vocabulary.byte_fallback,
    )


def merges_of(best_first: Iterable[str]) -> list[tuple[str, str]]:
    """Every pair of pieces that makes a piece, in the order in which pieces are made.

    Raises:
        ValueError: If a piece is longer than any that is learned.
    """
    rank = {piece: number for number, piece in enumerate(best_first)}
    merges = []
    for piece in rank:
        if len(piece) > _LONGEST_PIECE:
            raise ValueError(f"a piece of {len(piece):,} characters; at most {_LONGEST_PIECE}")
        halves = ((piece[:at], piece[at:]) for at in range(1, len(piece)))
        pairs = [(left, right) for left, right in halves if left in rank and right in rank]
        merges += sorted(pairs, key=lambda pair: (rank[pair[0]], rank[pair[1]]))
    return merges


def _normalizer(vocabulary: PieceVocabulary, users: list[str]) -> "Normalizer":
    from tokenizers import Regex
    from tokenizers.normalizers import Precompiled, Prepend, Replace, Sequence

    rules: list[Any] = []
    if vocabulary.charsmap:
        # The library reads "\r\n" as one character and would replace it by one.
        rules += [Replace("\r\n", "\n\n")] if vocabulary.cuts_line_ends else []
        rules.append(Precompiled(vocabulary.charsmap))
    if vocabulary.remove_extra_whitespaces:
        rules += [Replace(Regex(rf"{AT_START} +"), ""), Replace(Regex(r" +\z"), "")]
        rules.append(Replace(Regex(" {2,}"), " "))
    if vocabulary.add_dummy_prefix:
        rules.append(_prefix_but_before(users) if users else Prepend(SPACE))
    return Sequence([*rules, Replace(" ", SPACE)])


def _prefix_but_before(users: list[str]) -> "Normalizer":
    """The first space, but for a text that is a user-defined piece.

    The library prepares those pieces as it does texts, and they must come out as they are.
    """
    from tokenizers import Regex
    from tokenizers.normalizers import Replace

    spelled = "|".join(map(escape, users))
    return Replace(Regex(rf"{AT_START}(?!(?:{spelled})\z)(?=[\s\S])"), SPACE)


def escape(text: str) -> str:
    """A pattern of the ``tokenizers`` library that matches ``text`` alone."""
    return "".join(f"\\x{{{ord(character):x}}}" for character in text)
