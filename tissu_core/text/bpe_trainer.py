"""Learning a byte-level BPE vocabulary."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from tissu_core.text.special_tokens import SPECIAL_TOKENS
from tissu_core.text.splits import build_split, byte_spellings

if TYPE_CHECKING:
    from tokenizers import Tokenizer as Backend

# The trainer's time goes with the square of a word's length; a megabyte of one letter never ended.
_LONGEST_WORD = 256
SMALLEST_VOCABULARY = 256 + len(SPECIAL_TOKENS)


def learn_bpe(documents: Iterable[str], vocab_size: int, split: str = "qwen2") -> "Backend":
    """A byte-level BPE tokenizer learned from ``documents``; deterministic.

    It may end with fewer than ``vocab_size`` tokens when the text has no more pairs to merge.
    """
    from tokenizers import Tokenizer, decoders, models, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = build_split(split, longest=_LONGEST_WORD)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=list(SPECIAL_TOKENS),
        initial_alphabet=sorted(byte_spellings()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(documents, trainer)
    tokenizer.pre_tokenizer = build_split(split)
    return tokenizer
