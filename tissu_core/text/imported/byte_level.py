"""Byte-level BPE vocabularies, as tokenizers of the ``tokenizers`` library."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tokenizers import Tokenizer as Backend


def build_byte_level(
    ids: Mapping[str, int],
    merges: Sequence[tuple[str, str]],
    patterns: Iterable[str],
    *,
    controls: Iterable[str] = (),
    users: Iterable[str] = (),
    ignore_merges: bool = False,
) -> "Backend":
    """A tokenizer of tokens in GPT-2's alphabet; ``patterns`` split a text one after the other.

    ``users`` are tokens that are found in a text before it is split.
    """
    from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers

    model = models.BPE(vocab=dict(ids), merges=list(merges), ignore_merges=ignore_merges)
    backend = Tokenizer(model)
    backend.pre_tokenizer = pre_tokenizers.Sequence(
        [
            *(pre_tokenizers.Split(Regex(pattern), behavior="isolated") for pattern in patterns),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    backend.decoder = decoders.ByteLevel()
    backend.add_special_tokens([AddedToken(t, normalized=False, special=True) for t in controls])
    backend.add_tokens([AddedToken(token, normalized=False) for token in users])
    return backend
