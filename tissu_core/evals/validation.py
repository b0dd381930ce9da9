"""The score of a run's validation text, as its own evaluations measure it."""

from collections.abc import Iterator

import torch

from tissu_core.data.batches import iter_validation_windows
from tissu_core.data.chat_batches import iter_chat_windows
from tissu_core.data.shards import Spans, TokenShards
from tissu_core.events.shared import StageAdvanced
from tissu_core.models.decoder import Decoder
from tissu_core.models.score import Score, score_windows
from tissu_core.parallel.ranks import ALONE, Ranks
from tissu_core.runtime.precision import autocast
from tissu_core.text.tokenizer import Tokenizer


def iter_validation_score(
    model: Decoder,
    tokenizer: Tokenizer,
    shards: TokenShards,
    spans: Spans,
    *,
    max_tokens: int,
    batch_sequences: int,
    precision: str,
    context: int,
    ranks: Ranks = ALONE,
) -> Iterator[StageAdvanced | Score]:
    """Score up to ``max_tokens`` of ``spans``, cut into windows: progress, then the score.

    Each of ``ranks`` scores a share, and all get the score of the whole.
    """
    device = model.device
    token_bytes = torch.tensor(tokenizer.token_bytes(), device=device)
    total, done, score = min(max_tokens, spans.num_tokens), 0, Score()
    cut = {"context": context, "max_tokens": max_tokens, "batch_sequences": batch_sequences}
    if shards.targets is None:
        all_windows = iter_validation_windows(shards.tokens, spans, **cut)
    else:
        all_windows = iter_chat_windows(shards.tokens, shards.targets, spans, **cut)
    for number, windows in enumerate(all_windows):
        done += windows[:, 1:].size
        if number % ranks.world_size != ranks.rank:
            continue
        ids = torch.from_numpy(windows).to(device)
        with autocast(device, precision):
            score += score_windows(model, ids, token_bytes)
        yield StageAdvanced(stage="scoring", done=min(done, total), total=total, unit="tokens")
    yield _of_all(score, ranks) if ranks.are_many else score


def _of_all(score: Score, ranks: Ranks) -> Score:
    told = torch.tensor([score.nll, score.num_tokens, score.num_bytes], dtype=torch.float64)
    nll, num_tokens, num_bytes = ranks.add_up(told).tolist()
    return Score(nll, round(num_tokens), round(num_bytes))
