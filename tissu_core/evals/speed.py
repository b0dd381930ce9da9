"""How fast a model reads and writes on this machine."""

import statistics
import time
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from itertools import pairwise

import torch

from tissu_core.config.decoding import DecodingConfig
from tissu_core.decoding.batch import Batch
from tissu_core.decoding.row import Row
from tissu_core.layers.moe import MixtureOfExperts
from tissu_core.models.decoder import Decoder
from tissu_core.runtime.device import synchronize
from tissu_core.runtime.energy import EnergyMeter

ROUNDS = 3
"""Of which the middle one counts."""
_GREEDY = DecodingConfig(greedy=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Speed:
    """Of so many texts at once, behind so many tokens each."""

    batch: int
    context: int
    first_token_seconds: float
    decode_tokens_per_second: float
    """Of all texts together."""
    step_p50_seconds: float
    step_p99_seconds: float
    joules_per_token: float | None

    @property
    def prefill_tokens_per_second(self) -> float:
        """Of all texts together."""
        return self.batch * self.context / self.first_token_seconds


def measure_speed(model: Decoder, batch: int, context: int, new_tokens: int) -> Speed:
    """Read ``batch`` texts of ``context`` tokens and write ``new_tokens`` behind each.

    The texts are random ids, the same ones each time; what is written is always the likeliest. The
    first token is written by the reading, and counts with it.
    """
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(model.config.vocab_size, (batch, context), generator=generator).tolist()
    meter = EnergyMeter(model.device)
    _measure(model, ids, 2, meter)
    rounds = [_measure(model, ids, new_tokens, meter) for _ in range(ROUNDS)]
    first = statistics.median(each.first_seconds for each in rounds)
    following = statistics.median(statistics.median(each.step_seconds) for each in rounds)
    steps = sorted(seconds for each in rounds for seconds in each.step_seconds)
    joules = [each.joules for each in rounds if each.joules is not None]
    return Speed(
        batch=batch,
        context=context,
        first_token_seconds=first,
        decode_tokens_per_second=batch / following,
        step_p50_seconds=steps[len(steps) // 2],
        step_p99_seconds=steps[min(len(steps) - 1, len(steps) * 99 // 100)],
        joules_per_token=sum(joules) / len(joules) / (batch * new_tokens) if joules else None,
    )


@dataclass(frozen=True, slots=True)
class _Round:
    """One reading, and the steps behind it."""

    first_seconds: float
    step_seconds: list[float]
    joules: float | None
    """Of the steps."""


@torch.inference_mode()
def _measure(model: Decoder, ids: list[list[int]], new_tokens: int, meter: EnergyMeter) -> _Round:
    rows = [Row(row, _GREEDY, new_tokens + 1) for row in ids]
    batch = Batch[Row](model)
    began = time.perf_counter()
    batch.join(rows)
    times, before = [time.perf_counter()], meter.joules()
    for _ in range(new_tokens):
        for row, logits in zip(batch.rows, batch.logits, strict=True):
            row.choose(logits)
        batch.step()
        synchronize(model.device)
        times.append(time.perf_counter())
    steps = [later - earlier for earlier, later in pairwise(times)]
    after = meter.joules()
    used = None if before is None or after is None else after - before
    return _Round(times[0] - began, steps, used)


def weight_bytes(model: Decoder, batch: int = 1) -> int:
    """Bytes of weights that a step of ``batch`` texts reads: all that it computes with.

    Of a mixture's experts, as many as the texts can ask for at most.
    """
    config, tokens = model.config, model.model.embed_tokens
    size = _size(model) - (0 if config.tie_word_embeddings else _size(tokens))
    for module in model.modules():
        if isinstance(module, MixtureOfExperts):
            asked = min(len(module.experts), batch * module.chosen)
            size -= _size(module.experts) * (len(module.experts) - asked) // len(module.experts)
    return size


def _size(module: torch.nn.Module) -> int:
    seen = {t.data_ptr(): t.nbytes for t in (*module.parameters(), *module.buffers())}
    return sum(seen.values())


@cache
def memory_bandwidth(device: torch.device, threads: int) -> float:
    """Bytes a second that the device reads from its memory, by summing 256 MB; measured once."""
    numbers = torch.ones(64 << 20, device=device)
    best = float("inf")
    for _ in range(5):
        synchronize(device)
        began = time.perf_counter()
        numbers.sum()
        synchronize(device)
        best = min(best, time.perf_counter() - began)
    return numbers.nbytes / best


def grid(batches: Iterable[int], contexts: Iterable[int]) -> list[tuple[int, int]]:
    """Each batch with each context, the smaller ones first."""
    return [(batch, context) for context in sorted({*contexts}) for batch in sorted({*batches})]
