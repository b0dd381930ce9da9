"""How text is cut into the pieces that no token crosses.

Every split is lossless: what a pattern does not match is a piece of its own. Bytes are then spelled
by GPT-2's alphabet, one printable character a byte, so that every string is in the vocabulary.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tokenizers.pre_tokenizers import PreTokenizer

# Qwen2's split pattern, which llama.cpp knows by name ("qwen2").
QWEN2 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
# Radford et al. 2019, "Language models are unsupervised multitask learners".
GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
# For source code. The end of a line and the indentation of the next are one piece, with what closes
# the line before them ("):\n        "), as most lines of code end in one of few ways; names are cut
# before an underscore and at the humps of camelCase, so that their parts are shared; numbers have
# up to three digits a piece. Bytes per token on the half of Python's standard library that was not
# learned from, with 8,192 tokens (2,048): code 4.20 (3.28), qwen2 3.89 (3.12), gpt2 3.80 (3.12).
# Without the humps it is 4.21: they cost 0.2 %. The joined line ends are worth 6 %.
CODE = (
    r"[^\r\n\p{L}\p{N}]?(?:\p{Lu}+(?!\p{Ll})|\p{Lu}?[\p{Ll}\p{Lt}\p{Lm}\p{Lo}\p{M}]+)|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+(?:[\r\n]+[ \t]*)?|\s*[\r\n][ \t]*|\s+(?!\S)|\s+"
)
CHARACTERS = r"[\s\S]"
# A word takes the space before it along, which halves the tokens of prose. Han characters, which
# no space parts, and marks stand alone, so that a text of known ones has no unknown word.
WORDS = r" ?\p{Han}| ?(?:(?!\p{Han})[\p{L}\p{M}\p{N}_])+| ?\S|\s+(?!\S)|\s+"

# Of published models: Llama 3's, which is that of tiktoken's cl100k_base too, and o200k_base's.
LLAMA3 = QWEN2.replace(r"|\p{N}|", r"|\p{N}{1,3}|")
_HUMP = r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]{%s}[\p{Ll}\p{Lm}\p{Lo}\p{M}]{%s}"
_CONTRACTION = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
_NO_WORD = r" ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
O200K = "|".join(
    [
        _HUMP % ("0,", "1,") + _CONTRACTION,
        _HUMP % ("1,", "0,") + _CONTRACTION,
        r"\p{N}{1,3}",
        _NO_WORD,
    ]
)
TEKKEN = "|".join([_HUMP % ("0,", "1,"), _HUMP % ("1,", "0,"), r"\p{N}", _NO_WORD])

SPLITS = {"qwen2": QWEN2, "gpt2": GPT2, "code": CODE, "char": CHARACTERS, "word": WORDS}
EXPORTABLE = frozenset({"qwen2", "gpt2"})
"""Splits that programs with a tokenizer of their own, such as llama.cpp, know by name."""


def build_split(name: str, longest: int | None = None) -> "PreTokenizer":
    """The pieces of a text by the split of that name, spelled byte by byte.

    ``longest`` also cuts a piece after so many characters.
    """
    from tokenizers import Regex, pre_tokenizers

    patterns = [SPLITS[name], *([] if longest is None else [rf"[\s\S]{{1,{longest}}}"])]
    return pre_tokenizers.Sequence(
        [
            *(pre_tokenizers.Split(Regex(pattern), behavior="isolated") for pattern in patterns),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )


def byte_spellings() -> list[str]:
    """The character that spells each byte.

    Printable ones spell themselves; the others take the code points from 256 on, in order.
    """
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    spare = iter(range(256, 512))
    return [chr(byte if byte in printable else next(spare)) for byte in range(256)]
