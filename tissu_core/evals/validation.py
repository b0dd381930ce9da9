"""The score of a run's validation text, as its own evaluations measure it."""

from collections.abc import Iterable, Iterator

import torch

from tissu_core.data.batches import Windows, iter_validation_windows
from tissu_core.data.chat_batches import iter_chat_windows
from tissu_core.data.shards import Spans, TokenShards
from tissu_core.events.shared import StageAdvanced
from tissu_core.models.decoder import Decoder
from tissu_core.models.score import Score, score_windows
from tissu_core.parallel.ranks import ALONE, Ranks
from tissu_core.runtime.precision import autocast
from tissu_core.text.tokenizer import Tokenizer


def validation_windows(
    shards: TokenShards, spans: Spans, *, context: int, max_tokens: int, batch_sequences: int
) -> Iterator[Windows]:
    """Up to ``max_tokens`` of ``spans``, cut into windows, in batches."""
    cut = {"context": context, "max_tokens": max_tokens, "batch_sequences": batch_sequences}
    if shards.targets is None:
        return iter_validation_windows(shards.tokens, spans, **cut)
    return iter_chat_windows(shards.tokens, shards.targets, spans, **cut)


def iter_score(
    model: Decoder,
    tokenizer: Tokenizer,
    batches: Iterable[Windows],
    *,
    num_tokens: int,
    precision: str,
    ranks: Ranks = ALONE,
) -> Iterator[StageAdvanced | Score]:
    """Score windows, ``num_tokens`` in all or fewer: progress, then the score.

    Each of ``ranks`` scores a share, and all get the score of the whole.
    """
    token_bytes = torch.tensor(tokenizer.token_bytes(), device=model.device)
    done, score = 0, Score()
    for number, windows in enumerate(batches):
        done = min(num_tokens, done + windows[:, 1:].size)
        if number % ranks.world_size != ranks.rank:
            continue
        ids = torch.from_numpy(windows).to(model.device)
        with autocast(model.device, precision):
            score += score_windows(model, ids, token_bytes)
        yield StageAdvanced(stage="scoring", done=done, total=num_tokens, unit="tokens")
    yield _of_all(score, ranks) if ranks.are_many else score


def _of_all(score: Score, ranks: Ranks) -> Score:
    told = torch.tensor([score.nll, score.num_tokens, score.num_bytes], dtype=torch.float64)
    nll, num_tokens, num_bytes = ranks.add_up(told).tolist()
    return Score(nll, round(num_tokens), round(num_bytes))
