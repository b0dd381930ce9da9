"""Texts that a person makes likelier, less likely or impossible."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from tissu_core.config.decoding import DecodingConfig, parse_bias
from tissu_core.errors import ConfigError
from tissu_core.text.tokenizer import Tokenizer


@dataclass(frozen=True, slots=True)
class Bias:
    """What is added to the logit of the last of some ids where the others stand before it."""

    ids: tuple[int, ...]
    amount: float
    """A ban is minus infinity."""


def resolve_biases(config: DecodingConfig, tokenizer: Tokenizer) -> list[Bias]:
    """The ids that the settings name.

    Raises:
        ConfigError: If an id is not in the vocabulary.
    """
    wanted = [*map(parse_bias, config.logit_bias)]
    wanted += [(word, float("-inf")) for word in config.ban_words]
    return [
        Bias(ids, amount) for what, amount in wanted for ids in sorted(_spellings(what, tokenizer))
    ]


def _spellings(what: str | int, tokenizer: Tokenizer) -> set[tuple[int, ...]]:
    """An id as it is; a text as it begins a line and as it follows a space."""
    if isinstance(what, str):
        texts = {what, f" {what.lstrip(' ')}"}
        return {tuple(tokenizer.encode(text, is_start=False)) for text in texts} - {()}
    if what >= tokenizer.vocab_size:
        raise ConfigError(
            f"--logit-bias names the token {what}, and the vocabulary has {tokenizer.vocab_size:,}",
            field="logit_bias",
            hint=f"an id from 0 to {tokenizer.vocab_size - 1}",
        )
    return {(what,)}


def add_biases(logits: Tensor, history: Tensor, *, biases: Sequence[Bias]) -> Tensor:
    """Add each bias whose first ids end the history; those of one id always."""
    longest = max(len(bias.ids) for bias in biases)
    tail = tuple(history[max(0, len(history) - longest + 1) :].tolist())
    due = [bias for bias in biases if tail[len(tail) - len(bias.ids) + 1 :] == bias.ids[:-1]]
    ids = torch.tensor([bias.ids[-1] for bias in due], dtype=torch.long)
    amounts = torch.tensor([bias.amount for bias in due], dtype=logits.dtype)
    return logits.index_add(0, ids, amounts)
