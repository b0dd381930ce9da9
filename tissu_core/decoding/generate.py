"""The decode loop: read the prompt once, then one token at a time."""

import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from tissu_core.config.decoding import DecodingConfig
from tissu_core.decoding.bias import Bias, resolve_biases
from tissu_core.decoding.healing import Healed, heal
from tissu_core.decoding.logits import build_processors, draw, is_greedy
from tissu_core.decoding.stop import StopText
from tissu_core.errors import InputError
from tissu_core.events import GenerateEvent, GenerationFinished, TokenGenerated
from tissu_core.models.decoder import Decoder
from tissu_core.text.incremental_decoder import IncrementalDecoder
from tissu_core.text.tokenizer import Tokenizer

Reason = Literal["stop", "length", "context", "stopped"]


@dataclass(frozen=True, slots=True)
class Choice:
    """A chosen token and its log-probability under the model itself, before any setting."""

    token_id: int
    logprob: float


def generate(
    model: Decoder,
    tokenizer: Tokenizer,
    prompt_ids: Sequence[int],
    config: DecodingConfig,
    *,
    end_ids: frozenset[int],
    should_stop: Callable[[], bool] = bool,
    is_healed: bool = False,
) -> Iterator[GenerateEvent]:
    """Continue a prompt. The texts of all tokens and the tail, joined, are the whole reply.

    ``is_healed`` lets the first token complete the prompt's last one; for plain text.

    Raises:
        InputError: If the prompt fills the context.
        ConfigError: If the settings name an unknown token, or leave none to choose.
    """
    check_prompt(model, prompt_ids)
    healed = heal(tokenizer, prompt_ids) if is_healed else Healed(list(prompt_ids), "", [])
    reply = _Reply(IncrementalDecoder(tokenizer), StopText(config.stop), healed.prefix)
    started = time.perf_counter()
    room = model.config.max_position_embeddings - len(prompt_ids)
    reason: Reason = "length" if config.max_tokens <= room else "context"
    limit = min(config.max_tokens, room)
    biases = resolve_biases(config, tokenizer)
    for choice in iter_choices(
        model, healed.prompt_ids, config, limit, healed.allowed, biases, end_ids
    ):
        if choice.token_id in end_ids:
            reason = "stop"
            break
        text = reply.feed(choice.token_id)
        if reply.num_tokens == 1:
            reply.first_seconds = time.perf_counter() - started
        yield TokenGenerated(text=text, token_id=choice.token_id, logprob=choice.logprob)
        if reply.stop.is_found:
            reason = "stop"
            break
        if should_stop():
            reason = "stopped"
            break
    yield reply.finish(reason, len(prompt_ids), time.perf_counter() - started)


def check_prompt(model: Decoder, prompt_ids: Sequence[int]) -> None:
    """Refuse a prompt that leaves no room for a reply; nothing is ever cut silently."""
    context = model.config.max_position_embeddings
    if len(prompt_ids) >= context:
        raise InputError(
            f"the prompt has {len(prompt_ids):,} tokens and the model's context is {context:,}",
            hint=f"a prompt of at most {context - 1:,} tokens",
        )


@torch.inference_mode()
def iter_choices(
    model: Decoder,
    prompt_ids: Sequence[int],
    config: DecodingConfig,
    max_tokens: int,
    first_allowed: Sequence[int] = (),
    biases: Sequence[Bias] = (),
    end_ids: Collection[int] = (),
) -> Iterator[Choice]:
    """Tokens without end, up to ``max_tokens``; the caller decides when to stop.

    The first is one of ``first_allowed``, if any are given.
    """
    device = model.device
    processors = build_processors(
        config, prompt_tokens=len(prompt_ids), biases=biases, end_ids=end_ids
    )
    # Drawn on the CPU, so that a seed gives the same text on every device.
    generator = torch.Generator()
    generator.manual_seed(config.seed) if config.seed is not None else generator.seed()
    cache = model.new_cache()
    history = torch.tensor(list(prompt_ids), dtype=torch.long)
    reading = history
    for number in range(max_tokens):
        if model.outgrows(cache, len(reading)):
            cache, reading = model.new_cache(), history
        logits = model(reading[None].to(device), cache, last_only=True)[0, -1].float().cpu()
        if number == 0 and first_allowed:
            logits = _only(logits, first_allowed)
        choice = _choose(logits, history, config, processors, generator)
        yield choice
        reading = torch.tensor([choice.token_id])
        history = torch.cat([history, reading])


def _only(logits: Tensor, allowed: Sequence[int]) -> Tensor:
    kept = torch.full_like(logits, float("-inf"))
    kept[list(allowed)] = logits[list(allowed)]
    return kept


def _choose(
    logits: Tensor,
    history: Tensor,
    config: DecodingConfig,
    processors: Sequence[Callable[[Tensor, Tensor], Tensor]],
    generator: torch.Generator,
) -> Choice:
    log_probs = logits.log_softmax(-1)
    for process in processors:
        logits = process(logits, history)
    token_id = int(logits.argmax()) if is_greedy(config) else draw(logits, generator)
    return Choice(token_id, float(log_probs[token_id]))


@dataclass(slots=True)
class _Reply:
    """The text so far, and what of it may be shown."""

    decoder: IncrementalDecoder
    stop: StopText
    prefix: str
    """What the prompt already holds of the first token."""
    text: str = ""
    num_tokens: int = 0
    first_seconds: float = 0.0

    def feed(self, token_id: int) -> str:
        self.num_tokens += 1
        text = self.decoder.feed(token_id)
        if text and self.prefix:
            text, self.prefix = text.removeprefix(self.prefix), ""
        return self._show(self.stop.feed(text))

    def finish(self, reason: Reason, prompt_tokens: int, seconds: float) -> GenerationFinished:
        tail = ""
        if not self.stop.is_found:
            tail = self._show(self.stop.feed(self.decoder.flush()) + self.stop.flush())
        decoding = seconds - self.first_seconds
        return GenerationFinished(
            text=self.text,
            tail=tail,
            reason=reason,
            prompt_tokens=prompt_tokens,
            new_tokens=self.num_tokens,
            first_token_seconds=self.first_seconds,
            tokens_per_second=(self.num_tokens - 1) / decoding if self.num_tokens > 1 else 0.0,
        )

    def _show(self, text: str) -> str:
        self.text += text
        return text
