"""Learning a vocabulary of whole pieces: characters, or words.

A piece that the vocabulary holds is one token, any other is its bytes. The model is a BPE without
merges that looks a piece up first, so the file is an ordinary byte-level ``tokenizer.json``: exact
for every string, and read by all that reads one.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from tissu_core.text.special_tokens import SPECIAL_TOKENS
from tissu_core.text.splits import build_split, byte_spellings

if TYPE_CHECKING:
    from tokenizers import Tokenizer as Backend


def learn_pieces(documents: Iterable[str], vocab_size: int, split: str) -> "Backend":
    """Control tokens, all bytes, then the most frequent pieces of ``documents``; deterministic.

    It ends with fewer than ``vocab_size`` tokens when the text has fewer pieces.
    """
    from tokenizers import Tokenizer, decoders, models, trainers

    counter = Tokenizer(models.WordLevel())
    counter.pre_tokenizer = build_split(split)
    counter.train_from_iterator(
        documents,
        trainers.WordLevelTrainer(vocab_size=vocab_size, special_tokens=[], show_progress=False),
    )
    ranks = counter.get_vocab(with_added_tokens=False)
    frequent = sorted(ranks, key=ranks.__getitem__)
    names = dict.fromkeys([*SPECIAL_TOKENS, *byte_spellings(), *frequent])
    vocabulary = {name: id for id, name in enumerate(names) if id < vocab_size}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[], ignore_merges=True))
    tokenizer.pre_tokenizer = build_split(split)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(list(SPECIAL_TOKENS))
    return tokenizer
