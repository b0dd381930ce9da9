"""One text among those that are decoded together: its ids, and how the next one is chosen."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from tissu_core.config.decoding import DecodingConfig
from tissu_core.decoding.bias import Bias
from tissu_core.decoding.logits import build_processors, draw, is_greedy
from tissu_core.runtime.seeds import derive_seed


@dataclass(frozen=True, slots=True)
class Choice:
    """A chosen token, and what the model itself said of it before any setting."""

    token_id: int
    logprob: float
    entropy: float | None = None
    """Of what might have come, in nats; where ``top_logprobs`` asks."""
    likely: tuple[tuple[int, float], ...] = ()
    """Ids and log-probabilities, the likeliest first; as many as ``top_logprobs`` asks for."""


class Row:
    """Chooses tokens until it ``is_done``: after ``max_tokens``, or when its owner says so.

    The first token is one of ``first_allowed``, if any are given. What is drawn depends on the
    seed and on ``index``, the text's number among its like, and on nothing beside it in a batch.
    The last ``written`` ids of the prompt are the beginning of the reply.

    Raises:
        ConfigError: From ``choose``, if the settings leave no token.
    """

    def __init__(
        self,
        prompt_ids: Sequence[int],
        config: DecodingConfig,
        max_tokens: int,
        *,
        index: int = 0,
        written: int = 0,
        first_allowed: Sequence[int] = (),
        biases: Sequence[Bias] = (),
        end_ids: Collection[int] = (),
    ) -> None:
        self.history = torch.tensor(list(prompt_ids), dtype=torch.long)
        """Ids read and written so far: (N,)."""
        self.is_done = False
        self._full = len(self.history) + max_tokens
        self._allowed = list(first_allowed)
        self._is_greedy = is_greedy(config)
        self._top_logprobs = config.top_logprobs
        self._processors = build_processors(
            config, prompt_tokens=len(self.history) - written, biases=biases, end_ids=end_ids
        )
        # Drawn on the CPU, so that a seed gives the same text on every device.
        self._generator = torch.Generator()
        if config.seed is None:
            self._generator.seed()
        else:
            # What follows a begun reply does not draw once more what its beginning drew.
            begun = (written,) if written else ()
            self._generator.manual_seed(derive_seed(config.seed, index, *begun))

    def choose(self, logits: Tensor) -> Choice:
        """Choose and remember the next token, from logits (V,) in fp32 on the CPU."""
        if self._allowed:
            logits, self._allowed = _only(logits, self._allowed), []
        log_probs = logits.log_softmax(-1)
        for process in self._processors:
            logits = process(logits, self.history)
        token_id = _likeliest_id(logits) if self._is_greedy else draw(logits, self._generator)
        self.history = torch.cat([self.history, torch.tensor([token_id])])
        self.is_done = len(self.history) >= self._full
        logprob = float(log_probs[token_id])
        if not self._top_logprobs:
            return Choice(token_id, logprob)
        entropy = float(torch.special.entr(log_probs.exp()).sum())
        return Choice(token_id, logprob, entropy, _likeliest(log_probs, self._top_logprobs))


def _likeliest_id(logits: Tensor) -> int:
    """By numpy, which finds it among 49,152 in 5 microseconds; torch's argmax takes 119."""
    return int(logits.numpy().argmax())


def _likeliest(log_probs: Tensor, count: int) -> tuple[tuple[int, float], ...]:
    """Ids and log-probabilities of those that are possible at all."""
    values, ids = log_probs.topk(min(count, log_probs.numel()))
    pairs = zip(ids.tolist(), values.tolist(), strict=True)
    return tuple((id, value) for id, value in pairs if value > float("-inf"))


def _only(logits: Tensor, allowed: list[int]) -> Tensor:
    kept = torch.full_like(logits, float("-inf"))
    kept[allowed] = logits[allowed]
    return kept
