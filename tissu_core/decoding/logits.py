"""Functions from logits to logits, applied in one order before a token is drawn.

Each is ``(logits, history) -> logits`` once its setting is bound. Shapes: logits (V,), history
(N,) ids read and written so far. Nothing is changed in place.
"""

from collections.abc import Callable
from functools import partial
from typing import TypeAlias

import torch
from torch import Tensor

from tissu_core.config.decoding import DecodingConfig

LogitsProcessor: TypeAlias = Callable[[Tensor, Tensor], Tensor]


def build_processors(config: DecodingConfig) -> list[LogitsProcessor]:
    """The processors that a configuration turns on, in order."""
    processors: list[LogitsProcessor] = []
    if config.repetition_penalty != 1:
        processors.append(partial(penalize_repetition, penalty=config.repetition_penalty))
    if is_greedy(config):
        return processors
    if config.temperature != 1:
        processors.append(partial(apply_temperature, temperature=config.temperature))
    if config.top_k:
        processors.append(partial(keep_top_k, top_k=config.top_k))
    if config.top_p < 1:
        processors.append(partial(keep_top_p, top_p=config.top_p))
    if config.min_p > 0:
        processors.append(partial(keep_min_p, min_p=config.min_p))
    return processors


def is_greedy(config: DecodingConfig) -> bool:
    """Whether the likeliest token is always taken."""
    return config.greedy or config.temperature == 0


def penalize_repetition(logits: Tensor, history: Tensor, *, penalty: float) -> Tensor:
    """Divide positive and multiply negative logits of tokens already seen.

    Source: Keskar et al. 2019, arXiv:1909.05858, section 4.1.
    """
    seen = torch.unique(history)
    values = logits[seen]
    return logits.index_put((seen,), torch.where(values > 0, values / penalty, values * penalty))


def apply_temperature(logits: Tensor, history: Tensor, *, temperature: float) -> Tensor:
    """Divide by the temperature."""
    return (logits - logits.max()) / temperature  # so that the largest stays finite


def keep_top_k(logits: Tensor, history: Tensor, *, top_k: int) -> Tensor:
    """Keep the k largest, and ties with the k-th."""
    threshold = logits.topk(min(top_k, logits.numel())).values[-1]
    return logits.masked_fill(logits < threshold, float("-inf"))


def keep_top_p(logits: Tensor, history: Tensor, *, top_p: float) -> Tensor:
    """Keep the fewest likeliest tokens whose probabilities reach ``top_p``.

    Source: Holtzman et al. 2019, arXiv:1904.09751.
    """
    ordered, order = logits.sort(descending=True)
    probabilities = ordered.softmax(-1)
    before = probabilities.cumsum(-1) - probabilities
    dropped = order[before >= top_p]
    return logits.index_fill(0, dropped, float("-inf"))


def keep_min_p(logits: Tensor, history: Tensor, *, min_p: float) -> Tensor:
    """Keep tokens at least ``min_p`` times as likely as the likeliest.

    Source: Nguyen et al. 2024, arXiv:2407.01082.
    """
    log_probs = logits.log_softmax(-1)
    return logits.masked_fill(
        log_probs < log_probs.max() + torch.tensor(min_p).log(), float("-inf")
    )


def draw(logits: Tensor, generator: torch.Generator) -> int:
    """A token by its probability."""
    return int(torch.multinomial(logits.softmax(-1), 1, generator=generator))
