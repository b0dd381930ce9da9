"""Logits processors that look back: what was written becomes less likely, or impossible.

Shapes: logits (V,), history (N,) ids read and written so far. Nothing is changed in place.
"""

import torch
from torch import Tensor


def penalize_repetition(logits: Tensor, history: Tensor, *, penalty: float) -> Tensor:
    """Divide positive and multiply negative logits of tokens in prompt or reply.

    Source: Keskar et al. 2019, arXiv:1909.05858, section 4.1.
    """
    seen = torch.unique(history)
    values = logits[seen]
    return logits.index_put((seen,), torch.where(values > 0, values / penalty, values * penalty))


def penalize_reply(
    logits: Tensor, history: Tensor, *, prompt_tokens: int, presence: float, frequency: float
) -> Tensor:
    """Subtract ``presence`` once, and ``frequency`` for each time the reply holds a token.

    Source: the OpenAI API reference, ``presence_penalty`` and ``frequency_penalty``.
    """
    counts = torch.bincount(history[prompt_tokens:], minlength=logits.numel())
    return logits - frequency * counts - presence * (counts > 0)


def forbid_repeated_ngrams(logits: Tensor, history: Tensor, *, size: int) -> Tensor:
    """Forbid the token that would write ``size`` tokens in a row a second time.

    Source: Paulus et al. 2017, arXiv:1705.04304, section 2.5.
    """
    if len(history) < size:
        return logits
    written = history.unfold(0, size, 1)  # (N - size + 1, size)
    begun = history[len(history) - size + 1 :]
    repeated = written[(written[:, :-1] == begun).all(-1), -1]
    return logits.index_fill(0, repeated, float("-inf"))


def forbid_early_end(
    logits: Tensor, history: Tensor, *, prompt_tokens: int, min_tokens: int, end_ids: Tensor
) -> Tensor:
    """Forbid the end tokens until the reply has ``min_tokens``."""
    if len(history) - prompt_tokens >= min_tokens:
        return logits
    return logits.index_fill(0, end_ids, float("-inf"))
